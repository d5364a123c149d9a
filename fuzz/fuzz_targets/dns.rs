//! DNS queries: no panic, and every answer is readable and matches its query.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use elbow_dns::Names;
use elbow_fuzz::peak;
use hickory_proto::op::{Message, MessageType};
use libfuzzer_sys::fuzz_target;

struct All;

impl Names for All {
    fn zone(&self) -> &str {
        "localhost"
    }

    fn addresses(&self, _: &str, _: IpAddr) -> Option<Vec<IpAddr>> {
        Some(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

/// Peak heap of one answer in bytes.
const HEAP: usize = 64 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some(bytes) = peak::within(HEAP + 32 * input.len(), || elbow_dns::answer(input, Ipv4Addr::LOCALHOST.into(), &All))
    else {
        return;
    };
    let answer = Message::from_vec(&bytes).expect("an answer can be read");
    let query = Message::from_vec(input).expect("an answered query can be read");
    assert_eq!(answer.metadata.message_type, MessageType::Response);
    assert_eq!(answer.metadata.id, query.metadata.id);
    // Only a single question is repeated.
    let repeated = usize::from(query.queries.len() == 1);
    assert_eq!(answer.queries, query.queries[..repeated]);
    // An answer is never much larger than its query, so it is useless for amplification attacks.
    assert!(
        bytes.len() <= input.len() + 128,
        "{} for {}",
        bytes.len(),
        input.len()
    );
});
