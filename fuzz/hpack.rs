//! Checks of header compression that hold for every input. The fuzz target and the replay of its seeds share them.

use elbow_h2::hpack::{DecodedSize, Decoder, Encoder, Error, TABLE_SIZE};

type Field = (Vec<u8>, Vec<u8>);

/// The most bytes of a section that a limited decoder gives away.
const LIST_MAX: usize = 300;
/// The most bytes of a section that is compared field by field.
const COMPARED_MAX: usize = 16 * 1024;

/// Checks the input as header blocks, then as fields to encode.
pub(crate) fn check(input: &[u8]) {
    blocks(input);
    fields(input);
}

/// Reads a length and as many bytes off the front of `input`.
fn piece<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&length, rest) = input.split_first()?;
    let (piece, rest) = rest.split_at(usize::from(length).min(rest.len()));
    *input = rest;
    Some(piece)
}

fn decode(
    decoder: &mut Decoder,
    block: &[u8],
    list_max: usize,
) -> Result<(DecodedSize, Vec<Field>), Error> {
    let mut found = Vec::new();
    let size = decoder.decode(block, list_max, &mut |name, value, _| {
        found.push((name.to_vec(), value.to_vec()));
    })?;
    let list: usize = found.iter().map(|(n, v)| n.len() + v.len() + 32).sum();
    assert!(list <= list_max);
    assert_eq!(size.is_too_large, size.list > list_max);
    if !size.is_too_large {
        assert_eq!((size.fields, size.list), (found.len(), list));
    }
    Ok((size, found))
}

/// Decodes the blocks of one connection: the same fields and errors as an independent decoder, and a limit changes
/// neither the table nor the size.
fn blocks(input: &[u8]) {
    let (mut ours, mut limited) = (Decoder::new(TABLE_SIZE), Decoder::new(TABLE_SIZE));
    let mut theirs = loona_hpack::Decoder::new();
    theirs.set_max_allowed_table_size(TABLE_SIZE);
    let mut left = input;
    while let Some(block) = piece(&mut left) {
        let found = decode(&mut ours, block, COMPARED_MAX);
        let mut expected = Vec::new();
        let mut list = 0;
        let accepted = theirs.decode_with_cb(block, |name, value| {
            list += name.len() + value.len() + 32;
            if list <= COMPARED_MAX {
                expected.push((name.into_owned(), value.into_owned()));
            }
        });
        let short = decode(&mut limited, block, LIST_MAX);
        match (found, accepted) {
            (Ok((size, found)), accepted) => {
                // The other decoder refuses a block without fields that ends with a table size update.
                assert!(accepted.is_ok() || size.fields == 0, "{accepted:?}");
                assert_eq!(found, expected);
                assert_eq!(size.list, list);
                let (short_size, short) = short.unwrap_or_else(|error| panic!("{error}"));
                assert_eq!(short_size.list, size.list);
                assert_eq!(short, found[..short.len()]);
            }
            (Err(error), accepted) => {
                // The other decoder takes a table size update behind a field.
                assert!(accepted.is_err() || error == Error::TableSize, "{error}");
                assert_eq!(short.map(|_| ()), Err(error));
                return;
            }
        }
    }
}

/// Encodes fields of one connection: both decoders read them again.
fn fields(input: &[u8]) {
    let mut encoder = Encoder::new();
    let mut ours = Decoder::new(TABLE_SIZE);
    let mut theirs = loona_hpack::Decoder::new();
    theirs.set_max_allowed_table_size(TABLE_SIZE);
    let mut left = input;
    while let Some(mut fields) = piece(&mut left) {
        let mut block = Vec::new();
        let mut expected = Vec::new();
        if let Some((&size, rest)) = fields.split_first()
            && size < 0x80
        {
            fields = rest;
            encoder.set_peer_table_size(usize::from(size) * 40);
        }
        encoder.start_block(&mut block);
        while let Some((&first, rest)) = fields.split_first() {
            fields = rest;
            let (name, value) = (usize::from(first >> 1 & 7), usize::from(first >> 4));
            let (name, rest) = fields.split_at(name.min(fields.len()));
            let (value, rest) = rest.split_at(value.min(rest.len()));
            fields = rest;
            encoder.encode(name, value, first & 1 == 1, &mut block);
            expected.push((name.to_vec(), value.to_vec()));
        }
        let found = decode(&mut ours, &block, usize::MAX).map(|found| found.1);
        assert_eq!(found.as_ref(), Ok(&expected));
        // It takes a block that is only a table size update, and refuses it afterwards.
        let found = theirs.decode(&block);
        if !expected.is_empty() {
            assert_eq!(found.unwrap_or_else(|error| panic!("{error:?}")), expected);
        }
    }
}
