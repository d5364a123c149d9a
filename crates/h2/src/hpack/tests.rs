#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;

use super::{DecodedSize, Decoder, Encoder, Error, TABLE_SIZE, huffman, static_table};

type Field = (Vec<u8>, Vec<u8>);

fn fields(all: &[(&str, &str)]) -> Vec<Field> {
    let owned = |one: &(&str, &str)| (one.0.as_bytes().to_vec(), one.1.as_bytes().to_vec());
    all.iter().map(owned).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|one| one.to_digit(16)).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] << 4 | pair[1]).unwrap())
        .collect()
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Field>, Error> {
    let mut found = Vec::new();
    decoder.decode(block, usize::MAX, &mut |name, value, _| {
        found.push((name.to_vec(), value.to_vec()));
    })?;
    Ok(found)
}

/// Decodes blocks that follow one another on one connection.
fn check_examples(table_size: usize, examples: &[(&str, &[(&str, &str)])]) {
    let mut decoder = Decoder::new(table_size);
    for (hex, expected) in examples {
        let found = decode(&mut decoder, &bytes(hex)).unwrap();
        assert_eq!(found, fields(expected), "{hex}");
    }
}

/// Decodes one block of a new connection.
fn refused(hex: &str) -> Error {
    decode(&mut Decoder::new(TABLE_SIZE), &bytes(hex)).unwrap_err()
}

#[test]
fn integers_of_rfc_7541_c1() {
    // C.1.1 to C.1.3: 10 and 1337 with 5 bits, 42 with 8 bits, here of 7.
    for (hex, prefix, value) in [("0a", 5, 10), ("1f9a0a", 5, 1337), ("2a", 7, 42)] {
        let encoded = bytes(hex);
        let mut input = encoded.as_slice();
        assert_eq!(super::integer::take(&mut input, prefix), Ok(value));
        assert!(input.is_empty());
        let mut out = Vec::new();
        super::integer::put(value, prefix, 0, &mut out);
        assert_eq!(out, encoded);
    }
}

#[test]
fn fields_of_rfc_7541_c2() {
    check_examples(
        TABLE_SIZE,
        &[(
            "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
            &[("custom-key", "custom-header")],
        )],
    );
    check_examples(
        TABLE_SIZE,
        &[(
            "040c 2f73 616d 706c 652f 7061 7468",
            &[(":path", "/sample/path")],
        )],
    );
    check_examples(
        TABLE_SIZE,
        &[(
            "1008 7061 7373 776f 7264 0673 6563 7265 74",
            &[("password", "secret")],
        )],
    );
    check_examples(TABLE_SIZE, &[("82", &[(":method", "GET")])]);
}

const REQUESTS: [&[(&str, &str)]; 3] = [
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

#[test]
fn requests_of_rfc_7541_c3() {
    let blocks = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    check_examples(
        TABLE_SIZE,
        &std::array::from_fn::<_, 3, _>(|i| (blocks[i], REQUESTS[i])),
    );
}

#[test]
fn requests_with_huffman_of_rfc_7541_c4() {
    let blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    check_examples(
        TABLE_SIZE,
        &std::array::from_fn::<_, 3, _>(|i| (blocks[i], REQUESTS[i])),
    );
}

const RESPONSES: [&[(&str, &str)]; 3] = [
    &[
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "307"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        (
            "set-cookie",
            "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
        ),
    ],
];

#[test]
fn responses_with_eviction_of_rfc_7541_c5() {
    let blocks = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 \
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 \
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d \
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 \
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e \
         3d31",
    ];
    check_examples(
        256,
        &std::array::from_fn::<_, 3, _>(|i| (blocks[i], RESPONSES[i])),
    );
}

#[test]
fn responses_with_huffman_of_rfc_7541_c6() {
    let blocks = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab \
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f \
         9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    check_examples(
        256,
        &std::array::from_fn::<_, 3, _>(|i| (blocks[i], RESPONSES[i])),
    );
}

#[test]
fn the_static_table_has_its_indices() {
    let entry = |index| static_table::get(index).unwrap();
    assert_eq!(static_table::LEN, 61);
    assert_eq!(entry(1), (b":authority".as_slice(), b"".as_slice()));
    assert_eq!(
        entry(16),
        (b"accept-encoding".as_slice(), b"gzip, deflate".as_slice())
    );
    assert_eq!(entry(61), (b"www-authenticate".as_slice(), b"".as_slice()));
    assert_eq!(static_table::get(0), None);
    assert_eq!(static_table::get(62), None);
    let mut encoder = Encoder::new();
    for index in 1..=61 {
        let (name, value) = entry(index);
        let mut out = Vec::new();
        encoder.encode(name, value, false, &mut out);
        assert_eq!(out, [0x80 | u8::try_from(index).unwrap()]);
    }
}

#[test]
fn malformed_blocks_are_refused() {
    assert_eq!(refused("80"), Error::Index);
    assert_eq!(refused("be"), Error::Index, "an empty dynamic table");
    assert_eq!(refused("7f00 00"), Error::Index);
    assert_eq!(refused("ff"), Error::Truncated);
    assert_eq!(refused("ff80 8080 8000"), Error::Integer);
    assert_eq!(refused("ffff ffff ffff"), Error::Integer);
    assert_eq!(refused("4005 6162"), Error::Truncated);
    assert_eq!(refused("41"), Error::Truncated);
    assert_eq!(refused("3fe2 1f"), Error::TableSize, "4,097");
    assert_eq!(refused("8220"), Error::TableSize, "behind a field");
    assert_eq!(refused("4182 ffff"), Error::Huffman, "16 bits of padding");
    assert_eq!(
        refused("4181 f0"),
        Error::Huffman,
        "padding that has a zero"
    );
    assert_eq!(refused("4184 ffff ffff"), Error::Huffman, "EOS");
}

#[test]
fn too_large_a_list_still_updates_the_table() {
    let mut encoder = Encoder::new();
    let mut first = Vec::new();
    // Seen for the second time, it enters the table.
    for _ in 0..2 {
        encoder.encode(b"x-large", &[b'a'; 500], false, &mut first);
    }
    encoder.encode(b"a", b"b", false, &mut first);
    let mut second = Vec::new();
    encoder.encode(b"x-large", &[b'a'; 500], false, &mut second);
    assert_eq!(second.len(), 1);

    let mut decoder = Decoder::new(TABLE_SIZE);
    let mut given = 0;
    let size = decoder
        .decode(&first, 600, &mut |_, _, _| given += 1)
        .unwrap();
    let expected = DecodedSize {
        fields: 3,
        list: 2 * 539 + 34,
        is_too_large: true,
    };
    assert_eq!(size, expected);
    assert_eq!(given, 1, "no field after the limit, not even a small one");
    let found = decode(&mut decoder, &second).unwrap();
    assert_eq!(found, [(b"x-large".to_vec(), vec![b'a'; 500])]);
}

#[test]
fn one_byte_fields_cost_no_memory() {
    // The bomb: one large entry, and as many references to it as the block has bytes.
    let mut block = vec![0x40, 1, b'a', 0x7f, 0xa1, 0x1e];
    block.extend([b'v'; 4000]);
    block.extend([0xbe; 12_000]);
    let mut decoder = Decoder::new(TABLE_SIZE);
    let mut given = 0;
    let size = decoder
        .decode(&block, 65_536, &mut |_, _, _| given += 1)
        .unwrap();
    assert_eq!((size.fields, size.is_too_large), (12_001, true));
    assert_eq!(given, 16);
}

#[test]
fn a_field_enters_the_table_when_it_comes_again() {
    let mut encoder = Encoder::new();
    let mut lengths = Vec::new();
    for _ in 0..3 {
        let mut out = Vec::new();
        encoder.encode(b"x-name", b"some value", false, &mut out);
        lengths.push(out.len());
    }
    assert_eq!(lengths, [15, 15, 1]);
    let mut out = Vec::new();
    encoder.encode(b"x-name", b"other", false, &mut out);
    assert_eq!(out[..2], [0x0f, 62 - 15], "the name is in the table");
}

#[test]
fn sensitive_fields_enter_no_table() {
    let mut encoder = Encoder::new();
    for _ in 0..3 {
        let mut out = Vec::new();
        encoder.encode(b"authorization", b"secret", true, &mut out);
        assert_eq!(out[..2], [0x1f, 23 - 15]);
        assert_eq!(out.len(), 7);
    }
}

#[test]
fn table_size_updates_tell_the_smallest_and_the_last() {
    let mut encoder = Encoder::new();
    let mut decoder = Decoder::new(TABLE_SIZE);
    let mut out = Vec::new();
    for _ in 0..2 {
        encoder.encode(b"x-name", b"value", false, &mut out);
    }
    decode(&mut decoder, &out).unwrap();
    for (sizes, updates) in [
        ([65_536, TABLE_SIZE].as_slice(), "".to_owned()),
        (&[0, 100, 200], "20 3fa901".to_owned()),
        (&[TABLE_SIZE], "3fe11f".to_owned()),
    ] {
        for &size in sizes {
            encoder.set_peer_table_size(size);
        }
        let mut out = Vec::new();
        encoder.start_block(&mut out);
        assert_eq!(out, bytes(&updates), "{sizes:?}");
        encoder.encode(b"x-name", b"value", false, &mut out);
        assert_eq!(
            decode(&mut decoder, &out).unwrap(),
            fields(&[("x-name", "value")])
        );
    }
}

#[test]
fn long_strings_give_their_memory_back() {
    let mut encoder = Encoder::new();
    let mut out = Vec::new();
    encoder.encode(b"x-name", &[b'a'; 60_000], false, &mut out);
    assert!(out.len() < 40_000);
    let mut decoder = Decoder::new(TABLE_SIZE);
    let size = decoder.decode(&out, 65_536, &mut |_, _, _| {}).unwrap();
    assert_eq!(size.list, 60_038);
    let mut kept = 0;
    for scratch in decoder.scratch() {
        kept += scratch.capacity();
    }
    assert!(kept <= 2048, "{kept} bytes");
}

proptest! {
    #[test]
    fn huffman_decodes_what_it_encodes(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut encoded = Vec::new();
        huffman::encode(&input, &mut encoded);
        prop_assert_eq!(encoded.len(), huffman::encoded_len(&input));
        let mut decoded = Vec::new();
        prop_assert_eq!(huffman::decode(&encoded, &mut decoded), Ok(()));
        prop_assert_eq!(decoded, input);
    }

    #[test]
    fn both_tables_stay_in_step(
        blocks in prop::collection::vec(
            (
                prop::option::of(0_usize..6000),
                prop::collection::vec(("[a-h]{1,2}", "[x-z]{0,40}", any::<bool>()), 0..40),
            ),
            1..12,
        )
    ) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(TABLE_SIZE));
        for (size, fields) in blocks {
            if let Some(size) = size {
                encoder.set_peer_table_size(size);
            }
            let mut block = Vec::new();
            encoder.start_block(&mut block);
            for (name, value, sensitive) in &fields {
                encoder.encode(name.as_bytes(), value.as_bytes(), *sensitive, &mut block);
            }
            let expected: Vec<Field> = fields
                .into_iter()
                .map(|(name, value, _)| (name.into_bytes(), value.into_bytes()))
                .collect();
            prop_assert_eq!(decode(&mut decoder, &block), Ok(expected));
        }
    }
}
