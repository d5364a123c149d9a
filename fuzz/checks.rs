//! Checks that hold for every input: no panic, and the same result however the input is split. The
//! fuzz targets and the replay of their seeds share them.

use elbow_http::h1::chunked::{
    ChunkError, Decoder, EXTENSIONS_MAX, LAST_CHUNK, TRAILERS_MAX, size_line,
};
use elbow_http::h1::scan::{Found, Scan, ScanError};
use elbow_http::h1::{Framing, Limits, REQUEST_LIMITS, RESPONSE_LIMITS, request, response};
use elbow_http::header::cookie;
use elbow_http::header::seal::Seal;
use elbow_model::{Action, CertificateSource, DesyncMitigationMode, Model};

#[path = "src/places.rs"]
mod places;
#[path = "strict/chunks.rs"]
mod strict;

use places::without_places;

/// Sizes of the pieces of an input. The last one is the whole input.
const STEPS: [usize; 3] = [1, 7, usize::MAX];

/// Checks request heads.
pub(crate) fn request(input: &[u8]) {
    let [first, others @ ..] = STEPS.map(|step| find_simple(input, step));
    assert!(others.iter().all(|other| *other == first));
    if let Some(found) = first {
        simple_request(&input[found.start..found.end]);
    }
    let [first, others @ ..] = STEPS.map(|step| find(input, step, &REQUEST_LIMITS));
    assert!(others.iter().all(|other| *other == first));
    let Ok(Some(found)) = first else { return };
    let head = &input[found.start..found.end];
    for mode in [
        DesyncMitigationMode::Monitor,
        DesyncMitigationMode::Defensive,
        DesyncMitigationMode::Strictest,
    ] {
        let _ = request::parse(head, found.lines, mode, |request| {
            let fields = request.head.fields;
            // No field remains that a target could read as a second framing or as the end of a line.
            let has = |name: &str| fields.iter().any(|f| f.name.eq_ignore_ascii_case(name));
            for field in fields {
                let letters = field.name.bytes().filter(u8::is_ascii_alphanumeric);
                let letters: Vec<_> = letters.map(|b| b.to_ascii_lowercase()).collect();
                if letters == b"contentlength" || letters == b"transferencoding" {
                    assert!(matches!(field.name.len(), 14 | 17), "{:?}", field.name);
                    assert!(field.name.contains('-'), "{:?}", field.name);
                }
                let breaks = |b: &u8| matches!(b, b'\r' | b'\n' | 0);
                assert!(!field.value.iter().any(breaks), "{field:?}");
            }
            if request.refused.is_none() {
                let coded = has("transfer-encoding");
                let sized = has("content-length");
                match request.framing {
                    Framing::Empty => {}
                    Framing::Length(_) => assert!(sized),
                    Framing::Chunked => assert!(coded),
                    Framing::UntilClose => {
                        panic!("a request is framed by the end of its connection")
                    }
                }
            }
        });
    }
}

/// Checks a request of HTTP/0.9: GET, a space, a target without spaces.
fn simple_request(head: &[u8]) {
    let mode = DesyncMitigationMode::Defensive;
    let parsed = request::parse(head, 1, mode, |request| {
        let target = request.head.target.text.as_bytes();
        assert_eq!([b"GET ", target, b"\r\n"].concat(), head);
        assert!(target.iter().all(u8::is_ascii_graphic));
        assert!(request.head.fields.is_empty() && request.framing == Framing::Empty);
        assert!(request.refused.is_none() && !request.persistent);
    });
    assert!(parsed.is_ok(), "{parsed:?}");
}

/// Checks response heads.
pub(crate) fn response(input: &[u8]) {
    let [first, others @ ..] = STEPS.map(|step| find(input, step, &RESPONSE_LIMITS));
    assert!(others.iter().all(|other| *other == first));
    let Ok(Some(found)) = first else { return };
    let head = &input[found.start..found.end];
    for to_head in [false, true] {
        let _ = response::parse(head, found.lines, to_head, |response| {
            assert!((100..=999).contains(&response.status));
            assert!(!to_head || response.framing == Framing::Empty);
            assert!(!response.persistent || response.framing != Framing::UntilClose);
        });
    }
}

/// Checks chunked bodies: the decoder accepts the same bodies as an independent reader, with the same data.
pub(crate) fn chunked(input: &[u8]) {
    let [first, others @ ..] = STEPS.map(|step| decode(input, step));
    assert!(others.iter().all(|other| *other == first));
    match (first, strict::chunks(input, strict::Extras::Taken)) {
        (Ok((data, used, is_whole)), Ok(expected)) => {
            assert_eq!(
                (data, used, is_whole),
                (expected.data, expected.used, expected.is_whole)
            );
        }
        (Ok((_, _, is_whole)), Err(error)) => {
            assert!(!is_whole, "decoded an invalid body: {error}")
        }
        (Err(error), Ok(_)) => assert!(input.len() > EXTENSIONS_MAX.min(TRAILERS_MAX), "{error}"),
        (Err(_), Err(_)) => {}
    }
    if !input.is_empty() {
        let (line, length) = size_line(input.len());
        let framed = [&line[..length], input, b"\r\n", LAST_CHUNK].concat();
        let expected = strict::Chunks {
            data: input.to_vec(),
            used: framed.len(),
            is_whole: true,
        };
        let read = strict::chunks(&framed, strict::Extras::Refused);
        assert_eq!(read, Ok(expected));
    }
}

/// Checks the cookies of clients and targets, and the sealed values in them.
pub(crate) fn cookie(input: &[u8]) {
    let name = "AWSALB";
    let values: Vec<_> = cookie::values(input, name).collect();
    assert!(values.iter().all(|value| !value.contains(&b';')));
    if cookie::sets(input, name) {
        assert!(!values.is_empty());
    }
    let seal = Seal::new("a");
    for value in values.into_iter().chain([input]) {
        // Only a value that `close` wrote opens.
        if let Some(token) = seal.open(value) {
            assert_eq!(seal.close(token.choice, token.made), value);
        }
    }
    let choice = input
        .iter()
        .fold(0_u64, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    let token = seal.open(&seal.close(choice, 7));
    assert_eq!(token.map(|token| token.choice), Some(choice));
}

/// Checks the native file: each text yields a model or a diagnostic, and a rendered model parses to the same model.
pub(crate) fn native_file(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (model, diagnostics) = elbow_native::parse(text, "elbow.yaml");
    assert!(model.is_some() || !diagnostics.is_empty());
    // Private keys and secrets of clients are not rendered.
    let secret = |model: &Model| {
        let mut certificates = model.certificates.iter();
        let mut listeners = model.load_balancers.iter().flat_map(|lb| &lb.listeners);
        certificates.any(|one| matches!(one.source, CertificateSource::Pem { .. }))
            || listeners.any(|listener| {
                let of_rules = listener.rules.iter().flat_map(|rule| &rule.actions);
                let mut actions = listener.default_actions.iter().chain(of_rules);
                actions.any(|action| matches!(action, Action::AuthenticateOidc(_)))
            })
    };
    let Some(model) = model.filter(|model| !secret(model)) else {
        return;
    };
    let shown = elbow_native::render(&model);
    let (again, found) = elbow_native::parse(&shown.to_string(), "elbow.yaml");
    let Some(again) = again else {
        panic!("the rendered file is rejected: {found:?}\n{shown}");
    };
    assert_eq!(elbow_native::render(&again), shown);
    assert_eq!(without_places(again), without_places(model), "{shown}");
}

fn find_simple(input: &[u8], step: usize) -> Option<Found> {
    let mut scan = Scan::default();
    let mut end = 0_usize;
    loop {
        end = input.len().min(end.saturating_add(step));
        let scanned = scan.advance(&input[..end], &REQUEST_LIMITS);
        let found = scan.simple_request(&input[..end]);
        if found.is_some() || scanned != Ok(None) || end == input.len() {
            return found;
        }
    }
}

fn find(input: &[u8], step: usize, limits: &Limits) -> Result<Option<Found>, ScanError> {
    let mut scan = Scan::default();
    let mut end = 0_usize;
    loop {
        end = input.len().min(end.saturating_add(step));
        match scan.advance(&input[..end], limits) {
            Ok(None) if end < input.len() => {}
            done => return done,
        }
    }
}

/// Decodes `input`: its data, the length used, and whether the body is complete.
fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, usize, bool), ChunkError> {
    let mut decoder = Decoder::default();
    let (mut data, mut used) = (Vec::new(), 0);
    for piece in input.chunks(step) {
        let mut piece = piece.to_vec();
        let taken = decoder.compact(&mut piece)?;
        assert!(taken.data <= taken.used && taken.used <= piece.len());
        data.extend_from_slice(&piece[..taken.data]);
        used += taken.used;
    }
    Ok((data, used, decoder.is_done()))
}
