//! `X-Amzn-Trace-Id` (parity 1.12).

use std::ops::Range;

/// Largest request head, in bytes, that keeps the client's value; a larger one gets a new Root alone.
pub const MAX_TRACED_HEAD: usize = 7 * 1024;

/// Appends the value for a request that came with `incoming`, and returns where it is in `out`.
/// `head_size` is the size of the whole request head, `now` the seconds since the epoch.
pub fn write(
    out: &mut Vec<u8>,
    incoming: Option<&[u8]>,
    head_size: usize,
    now: u64,
    random: impl FnMut() -> u64,
) -> Range<usize> {
    let start = out.len();
    let incoming = incoming
        .filter(|_| head_size <= MAX_TRACED_HEAD)
        .map(<[u8]>::trim_ascii)
        .filter(|value| !value.is_empty());
    let fresh = Fresh { now, random };
    match incoming {
        None => fresh.write(out, b"Root="),
        Some(value) if has(value, b"Self") => replace_self(out, value, fresh),
        Some(value) => {
            let name: &[u8] = if has(value, b"Root") {
                b"Self="
            } else {
                b"Root="
            };
            fresh.write(out, name);
            out.push(b';');
            out.extend_from_slice(value);
        }
    }
    start..out.len()
}

/// A new id, not yet drawn.
struct Fresh<R> {
    now: u64,
    random: R,
}

impl<R: FnMut() -> u64> Fresh<R> {
    /// `Root=1-67891233-abcdef012345678912345678`: version, seconds, 96 random bits.
    fn write(mut self, out: &mut Vec<u8>, name: &[u8]) {
        out.extend_from_slice(name);
        out.extend_from_slice(b"1-");
        push_hex(out, self.now, 8);
        out.push(b'-');
        push_hex(out, (self.random)(), 16);
        push_hex(out, (self.random)(), 8);
    }
}

/// The lowest `digits` hexadecimal digits of `value`.
fn push_hex(out: &mut Vec<u8>, value: u64, digits: u32) {
    for place in (0..digits).rev() {
        let digit = (value >> (4 * place)) & 0xf;
        out.push(char::from_digit(digit as u32, 16).map_or(b'0', |c| c as u8));
    }
}

fn fields(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b';')
}

fn is(field: &[u8], name: &[u8]) -> bool {
    field
        .trim_ascii_start()
        .strip_prefix(name)
        .is_some_and(|rest| rest.first() == Some(&b'='))
}

fn has(value: &[u8], name: &[u8]) -> bool {
    fields(value).any(|field| is(field, name))
}

/// Appends `value` with a new id in the first Self, and without any other Self.
fn replace_self<R: FnMut() -> u64>(out: &mut Vec<u8>, value: &[u8], fresh: Fresh<R>) {
    let mut fresh = Some(fresh);
    let mut separator: &[u8] = b"";
    for field in fields(value) {
        if is(field, b"Self") {
            let Some(fresh) = fresh.take() else { continue };
            out.extend_from_slice(separator);
            fresh.write(out, b"Self=");
        } else {
            out.extend_from_slice(separator);
            out.extend_from_slice(field);
        }
        separator = b";";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 0x6344_1c4a;

    fn value(incoming: Option<&str>, head_size: usize) -> String {
        let mut out = b"before".to_vec();
        let mut draws = [0x0123_4567_89ab_cdef, 0xffff_ffff_dead_beef].into_iter();
        let random = || draws.next().unwrap();
        let range = write(
            &mut out,
            incoming.map(str::as_bytes),
            head_size,
            NOW,
            random,
        );
        assert_eq!(range, 6..out.len());
        String::from_utf8(out[range].to_vec()).unwrap()
    }

    // Parity 1.12 and check 15.
    #[test]
    fn ids_are_made_and_kept_as_the_guide_says() {
        let id = "1-63441c4a-0123456789abcdefdeadbeef";
        let table: &[(Option<&str>, String)] = &[
            (None, format!("Root={id}")),
            (Some(""), format!("Root={id}")),
            (Some("Root=R;X=1"), format!("Self={id};Root=R;X=1")),
            (
                Some("Root=1-67891233-abcdef012345678912345678;CalledFrom=app"),
                format!("Self={id};Root=1-67891233-abcdef012345678912345678;CalledFrom=app"),
            ),
            (Some("Self=S;Root=R;X=1"), format!("Self={id};Root=R;X=1")),
            (Some("Root=R;Self=S"), format!("Root=R;Self={id}")),
            (Some("Self=S; Root=R;Self=T"), format!("Self={id}; Root=R")),
            (Some("CalledFrom=app"), format!("Root={id};CalledFrom=app")),
            (Some("Rooted=x"), format!("Root={id};Rooted=x")),
        ];
        for (incoming, expected) in table {
            assert_eq!(&value(*incoming, 200), expected, "{incoming:?}");
        }
    }

    // Parity 1.12: request headers over 7 K.
    #[test]
    fn large_heads_lose_the_incoming_id() {
        assert!(value(Some("Root=R"), 7 * 1024).ends_with(";Root=R"));
        assert_eq!(
            value(Some("Root=R"), 7 * 1024 + 1),
            "Root=1-63441c4a-0123456789abcdefdeadbeef"
        );
    }
}
