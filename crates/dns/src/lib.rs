//! A DNS responder for the names of load balancers, like Route 53 for those of AWS. It answers authoritatively with A and
//! AAAA records, and refuses all other names (RFC 1035).

use std::io;
use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tracing::debug;

/// The TTL of answers in seconds, as AWS sets it for load balancers (ELB guide: how Elastic Load Balancing works).
const TTL: u32 = 60;
/// The TTL of negative answers in seconds: a load balancer may appear a moment later.
const NEGATIVE_TTL: u32 = 5;
/// The longest query that is read, in bytes.
const MAX_QUERY: usize = 1232;
/// The sizes in bytes of a message header, of the shortest question and of the shortest record (RFC 1035, 4.1).
const HEADER: usize = 12;
const QUESTION: usize = 5;
const RECORD: usize = 11;

/// Looks up the addresses of names.
pub trait Names: Send + Sync + 'static {
    /// The zone of all known names: `localhost`.
    fn zone(&self) -> &str;

    /// The addresses of the load balancer with this DNS name, in lower case and without a trailing dot, for `client`;
    /// `None` if there is none.
    fn addresses(&self, name: &str, client: IpAddr) -> Option<Vec<IpAddr>>;
}

/// Answers queries on `socket`; never returns.
pub async fn serve(socket: UdpSocket, names: &impl Names) {
    let mut buffer = [0; MAX_QUERY];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // An ICMP error about an earlier client: ignore it.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => {
                debug!(%error, "cannot read a DNS query");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let Some(answer) = answer(&buffer[..length], client.ip(), names) else {
            continue;
        };
        if let Err(error) = socket.send_to(&answer, client).await {
            debug!(%client, %error, "cannot send a DNS answer");
        }
    }
}

/// The answer to a `query` of `client`; `None` if it is no query or malformed.
pub fn answer(query: &[u8], client: IpAddr, names: &impl Names) -> Option<Vec<u8>> {
    if !fits_its_counts(query) {
        return None;
    }
    let query = Message::from_vec(query).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    // Many questions can share one compressed name, and would make the answer larger than its query.
    if query.queries.len() == 1 {
        answer.queries.clone_from(&query.queries);
    }
    if query.edns.is_some() {
        answer.set_edns(Edns::new());
    }
    answer.metadata.response_code = match (query.metadata.op_code, &query.queries[..]) {
        (OpCode::Query, [question]) => fill(&mut answer, question, client, names),
        (OpCode::Query, _) => ResponseCode::FormErr,
        _ => ResponseCode::NotImp,
    };
    answer.to_vec().ok()
}

/// Whether `query` is long enough for the counts in its header (RFC 1035, 4.1.1). The decoder allocates by
/// the counts before it reads on: megabytes for twelve bytes.
fn fits_its_counts(query: &[u8]) -> bool {
    let Some((header, body)) = query.split_at_checked(HEADER) else {
        return false;
    };
    let (_, counts) = header.as_chunks::<2>().0.split_at(2);
    let smallest = [QUESTION, RECORD, RECORD, RECORD];
    let counted = counts.iter().zip(smallest);
    let least = counted.map(|(count, size)| usize::from(u16::from_be_bytes(*count)) * size);
    least.sum::<usize>() <= body.len()
}

fn fill(
    answer: &mut Message,
    question: &Query,
    client: IpAddr,
    names: &impl Names,
) -> ResponseCode {
    let Ok(mut zone) = Name::from_ascii(names.zone()) else {
        return ResponseCode::ServFail;
    };
    zone.set_fqdn(true);
    if question.query_class != DNSClass::IN || !zone.zone_of(&question.name) {
        return ResponseCode::Refused;
    }
    answer.metadata.authoritative = true;
    let asked = question.name.to_lowercase().to_ascii();
    let addresses = names.addresses(asked.trim_end_matches('.'), client);
    let found = addresses.iter().flatten().filter_map(|address| {
        let data = match address {
            IpAddr::V4(ip) => RData::A((*ip).into()),
            IpAddr::V6(ip) => RData::AAAA((*ip).into()),
        };
        let wanted = [data.record_type(), RecordType::ANY];
        let is_wanted = wanted.contains(&question.query_type);
        is_wanted.then(|| Record::from_rdata(question.name.clone(), TTL, data))
    });
    answer.answers.extend(found);
    if answer.answers.is_empty() {
        answer.add_authority(start_of_authority(zone));
    }
    match addresses {
        Some(_) => ResponseCode::NoError,
        None => ResponseCode::NXDomain,
    }
}

/// The record that limits how long a negative answer may be cached (RFC 2308).
fn start_of_authority(zone: Name) -> Record {
    let ttl = NEGATIVE_TTL;
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86400, ttl);
    Record::from_rdata(zone, ttl, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const NAME: &str = "web-0123456789abcdef.elb.us-east-1.localhost";

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    struct OneName;

    impl Names for OneName {
        fn zone(&self) -> &str {
            "localhost"
        }

        fn addresses(&self, name: &str, client: IpAddr) -> Option<Vec<IpAddr>> {
            let both = [
                Ipv4Addr::new(127, 0, 10, 4).into(),
                Ipv6Addr::LOCALHOST.into(),
            ];
            (name == NAME && client == CLIENT).then(|| both.to_vec())
        }
    }

    fn query(name: &str, kind: RecordType) -> Message {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        let mut question = Query::query(Name::from_ascii(name).unwrap(), kind);
        question.query_class = DNSClass::IN;
        query.add_query(question);
        query
    }

    fn answered(query: &Message) -> Message {
        let bytes = answer(&query.to_vec().unwrap(), CLIENT, &OneName).unwrap();
        let answered = Message::from_vec(&bytes).unwrap();
        assert_eq!(answered.metadata.id, query.metadata.id);
        assert_eq!(answered.metadata.message_type, MessageType::Response);
        if query.queries.len() == 1 {
            assert_eq!(answered.queries, query.queries);
        }
        answered
    }

    fn texts(records: &[Record]) -> Vec<String> {
        let text = |r: &Record| format!("{} {} {}", r.ttl, r.record_type(), r.data);
        records.iter().map(text).collect()
    }

    #[test]
    fn name_resolves_to_both_address_families() {
        for (kind, expected) in [
            (RecordType::A, &["60 A 127.0.10.4"][..]),
            (RecordType::AAAA, &["60 AAAA ::1"]),
            (RecordType::ANY, &["60 A 127.0.10.4", "60 AAAA ::1"]),
        ] {
            let answered = answered(&query(&format!("{NAME}."), kind));
            assert_eq!(answered.metadata.response_code, ResponseCode::NoError);
            assert!(answered.metadata.authoritative);
            assert_eq!(texts(&answered.answers), expected);
            assert!(answered.authorities.is_empty());
        }
    }

    /// RFC 4343: names are case-insensitive, and the answer repeats the case of the question.
    #[test]
    fn names_are_case_insensitive() {
        let upper = format!("{}.", NAME.to_uppercase());
        let answered = answered(&query(&upper, RecordType::A));
        assert_eq!(texts(&answered.answers), ["60 A 127.0.10.4"]);
        assert_eq!(answered.answers[0].name.to_ascii(), upper);
    }

    /// RFC 2308: negative answers may be cached for a short time.
    #[test]
    fn negative_answers_have_a_start_of_authority() {
        for (name, kind, code) in [
            (NAME, RecordType::TXT, ResponseCode::NoError),
            (
                "other.elb.us-east-1.localhost",
                RecordType::A,
                ResponseCode::NXDomain,
            ),
        ] {
            let answered = answered(&query(&format!("{name}."), kind));
            assert_eq!(answered.metadata.response_code, code);
            assert!(answered.answers.is_empty());
            let authority = &answered.authorities[..];
            assert_eq!(authority.len(), 1);
            assert_eq!(
                (authority[0].ttl, authority[0].record_type()),
                (5, RecordType::SOA)
            );
        }
    }

    #[test]
    fn names_outside_the_zone_are_refused() {
        let answered = answered(&query("example.com.", RecordType::A));
        assert_eq!(answered.metadata.response_code, ResponseCode::Refused);
        assert!(!answered.metadata.authoritative);
    }

    #[test]
    fn unsupported_messages_get_an_error_or_no_answer() {
        let mut two = query(&format!("{NAME}."), RecordType::A);
        two.add_query(two.queries[0].clone());
        let refused = answered(&two);
        assert_eq!(refused.metadata.response_code, ResponseCode::FormErr);
        assert_eq!(refused.queries, []);

        let mut update = query(&format!("{NAME}."), RecordType::A);
        update.metadata.op_code = OpCode::Notify;
        assert_eq!(
            answered(&update).metadata.response_code,
            ResponseCode::NotImp
        );

        let mut reply = query(&format!("{NAME}."), RecordType::A);
        reply.metadata.message_type = MessageType::Response;
        assert_eq!(answer(&reply.to_vec().unwrap(), CLIENT, &OneName), None);
        assert_eq!(answer(b"\0\x01\x02", CLIENT, &OneName), None);
    }

    // The decoder allocates for 65,535 entries of each section before it reads the first.
    #[test]
    fn header_with_too_large_counts_is_not_decoded() {
        let query = query(&format!("{NAME}."), RecordType::A).to_vec().unwrap();
        assert!(fits_its_counts(&query));
        for count in (4..HEADER).step_by(2) {
            let mut counts_more = query.clone();
            counts_more[count..count + 2].copy_from_slice(&[1, 0]);
            assert!(!fits_its_counts(&counts_more), "count at {count}");
            assert_eq!(answer(&counts_more, CLIENT, &OneName), None);
        }
        assert!(!fits_its_counts(&query[..HEADER - 1]));
    }

    #[tokio::test]
    async fn query_is_answered_over_udp() {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(server).await.unwrap();
        let asking = async {
            client.send(b"nonsense").await.unwrap();
            let query = query(&format!("{NAME}."), RecordType::A);
            client.send(&query.to_vec().unwrap()).await.unwrap();
            let mut buffer = [0; 512];
            let length = client.recv(&mut buffer).await.unwrap();
            Message::from_vec(&buffer[..length]).unwrap()
        };
        let answered = tokio::select! {
            () = serve(socket, &OneName) => unreachable!("serve never returns"),
            answered = asking => answered,
        };
        assert_eq!(texts(&answered.answers), ["60 A 127.0.10.4"]);
    }
}
