//! What `fuzz_targets/proxy.rs` checks; the tests of `elbow-net` check the same on its seeds and on generated inputs.

use elbow_net::proxy::{Header, MAX_V1, MAX_V2, Parsed, parse, v1, v2};

/// The verdict depends on the header alone, comes with its last byte and not before, and what it says can be said again.
pub(crate) fn check(input: &[u8]) {
    let verdict = parse(input);
    match verdict {
        Ok(Parsed::Complete { header, length }) => {
            let most = if input.starts_with(b"P") {
                MAX_V1
            } else {
                MAX_V2
            };
            assert!((15..=most).contains(&length));
            let own = &input[..length];
            assert_eq!(parse(own), verdict);
            // A receiver that gets the bytes one at a time never takes one that is not the header's.
            for end in 0..length {
                assert_eq!(
                    parse(&own[..end]),
                    Ok(Parsed::Incomplete),
                    "{end} of {length}"
                );
            }
            if let Header::Proxied { client, server } = header {
                let said = |bytes: &[u8]| match parse(bytes) {
                    Ok(Parsed::Complete { header, length }) if length == bytes.len() => header,
                    other => panic!("{other:?}"),
                };
                assert_eq!(said(&v2(client, server, None)), header);
                let line = said(&v1(client, server));
                let can_say = client.is_ipv4() == server.is_ipv4();
                assert_eq!(line, if can_say { header } else { Header::Local });
            }
        }
        Ok(Parsed::Incomplete) => {
            assert!(input.len() < MAX_V2);
            if input.starts_with(b"P") {
                assert!(input.len() < MAX_V1);
            }
        }
        // No byte makes good what is wrong.
        Err(_) => {
            let more = [input, b"\r\n"].concat();
            assert_eq!(parse(&more), verdict);
        }
    }
}
