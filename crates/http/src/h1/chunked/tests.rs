use proptest::prelude::*;

use super::*;

/// The data of `input`, which comes in pieces that end at `splits`, and how far it was read.
fn decode(input: &[u8], splits: &[usize]) -> Result<(Vec<u8>, usize, bool), ChunkError> {
    let mut decoder = Decoder::default();
    let mut data = Vec::new();
    let mut total = 0;
    let mut ends: Vec<_> = splits.iter().map(|s| s % (input.len() + 1)).collect();
    ends.push(input.len());
    ends.sort_unstable();
    let mut start = 0;
    for end in ends {
        let mut piece = input[start..end].to_vec();
        let step = decoder.compact(&mut piece)?;
        data.extend_from_slice(&piece[..step.data]);
        total += step.used;
        start = end;
        if decoder.is_done() {
            break;
        }
        assert_eq!(step.used, piece.len());
    }
    Ok((data, total, decoder.is_done()))
}

// Parity 1.11: chunked is re-framed, trailers and extensions are dropped.
#[test]
fn bodies_are_decoded_wherever_they_are_split() {
    let table: &[(&[u8], &[u8], usize, bool)] = &[
        (b"0\r\n\r\n", b"", 5, true),
        (b"3\r\nabc\r\n0\r\n\r\nGET", b"abc", 13, true),
        (
            b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
            b"abc0123456789",
            28,
            true,
        ),
        (b"0003;x=y;\"q\"\r\nabc\r\n0;z\r\n\r\n", b"abc", 26, true),
        (b"1\r\na\r\n0\r\nT: 1\r\nU: 2\r\n\r\n", b"a", 23, true),
        (b"3\r\nab", b"ab", 5, false),
        (b"", b"", 0, false),
    ];
    for (input, data, used, done) in table {
        let expected = Ok((data.to_vec(), *used, *done));
        assert_eq!(decode(input, &[]), expected);
        for at in 0..input.len() {
            assert_eq!(decode(input, &[at]), expected, "split at {at}");
        }
        let all: Vec<_> = (0..input.len()).collect();
        assert_eq!(decode(input, &all), expected, "byte by byte");
    }
}

#[test]
fn odd_syntax_is_refused() {
    use ChunkError as E;
    let table: &[(&[u8], E)] = &[
        (b"\r\n", E::Size),
        (b";x\r\n", E::Size),
        (b" 1\r\n", E::Size),
        (b"1 \r\n", E::Size),
        (b"1\t;x\r\n", E::Size),
        (b"+1\r\n", E::Size),
        (b"0x1\r\n", E::Size),
        (b"-1\r\n", E::Size),
        (b"1\na", E::Size),
        (b"g\r\n", E::Size),
        (b"10000000000000000", E::SizeOverflow),
        (b"00000000000000001", E::SizeOverflow),
        (b"1;a\nb", E::Extension),
        (b"1;a\0", E::Extension),
        (b"1\rx", E::LineEnd),
        (b"1\r\nab", E::LineEnd),
        (b"1\r\na\n", E::LineEnd),
        (b"1\r\na\rx", E::LineEnd),
        (b"0\r\n\n", E::Trailer),
        (b"0\r\nT: 1\n", E::Trailer),
        (b"0\r\nT: 1\rx", E::LineEnd),
        (b"0\r\n\rx", E::LineEnd),
        (b"0\r\nT: \0", E::Trailer),
    ];
    for (input, error) in table {
        assert_eq!(decode(input, &[]), Err(*error), "{}", input.escape_ascii());
    }
}

#[test]
fn what_is_dropped_is_bounded() {
    let extension = |n| {
        [
            b"1;".to_vec(),
            vec![b'x'; n],
            b"\r\na\r\n0\r\n\r\n".to_vec(),
        ]
        .concat()
    };
    assert!(decode(&extension(EXTENSIONS_MAX - 1), &[]).is_ok());
    assert_eq!(
        decode(&extension(EXTENSIONS_MAX), &[]),
        Err(ChunkError::ExtensionsTooLong)
    );
    let trailer = |n| [b"0\r\nx:".to_vec(), vec![b'x'; n - 2], b"\r\n\r\n".to_vec()].concat();
    assert!(decode(&trailer(TRAILERS_MAX), &[]).is_ok());
    assert_eq!(
        decode(&trailer(TRAILERS_MAX + 1), &[]),
        Err(ChunkError::TrailersTooLong)
    );
}

#[test]
fn a_trailer_has_a_name_and_a_colon() {
    for (line, is_good) in [
        ("a: b", true),
        ("a:", true),
        ("a", false),
        (": b", false),
        ("a b: c", false),
        (" a: b", false),
        ("\u{e9}: b", false),
        ("a: \u{e9}", true),
    ] {
        let body = format!("0\r\n{line}\r\n\r\n");
        let expected = if is_good {
            Ok(())
        } else {
            Err(ChunkError::Trailer)
        };
        assert_eq!(decode(body.as_bytes(), &[]).map(drop), expected, "{line:?}");
    }
}

#[test]
fn the_largest_size_is_read_without_overflow() {
    let mut decoder = Decoder::default();
    let step = decoder.decode(b"ffffffffffffffff\r\nabc").unwrap();
    assert_eq!((step.used, step.data), (21, 3));
    assert_eq!(decoder.left, u64::MAX - 3);
}

#[test]
fn size_lines_are_the_shortest() {
    for (size, line) in [
        (0, "0\r\n"),
        (1, "1\r\n"),
        (15, "f\r\n"),
        (16, "10\r\n"),
        (0x1234_abcd, "1234abcd\r\n"),
        (usize::MAX, "ffffffffffffffff\r\n"),
    ] {
        let (bytes, length) = size_line(size);
        assert_eq!(&bytes[..length], line.as_bytes());
    }
}

proptest! {
    #[test]
    fn any_bytes_give_one_result_however_split(
        input in "[0-9a-f;\r\nx ]{0,60}",
        splits in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        prop_assert_eq!(decode(input.as_bytes(), &splits), decode(input.as_bytes(), &[]));
    }

    #[test]
    fn what_is_encoded_is_decoded(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
        splits in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let mut body = Vec::new();
        for chunk in &chunks {
            let (line, length) = size_line(chunk.len());
            body.extend_from_slice(&line[..length]);
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(LAST_CHUNK);
        let expected = (chunks.concat(), body.len(), true);
        prop_assert_eq!(decode(&body, &splits), Ok(expected));
    }
}
