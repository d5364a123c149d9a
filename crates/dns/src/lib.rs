//! Answers for the DNS names of load balancers, as Route 53 does for those of AWS: A and AAAA records that live 60
//! seconds, authoritatively, and nothing about any other name (RFC 1035).

use std::io;
use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use tokio::net::UdpSocket;
use tracing::debug;

/// Seconds that an answer may be kept, as AWS has it for load balancers (ELB guide: how Elastic Load Balancing works).
const TTL: u32 = 60;
/// Seconds that the absence of a name may be kept: one that is asked for too early is there a moment later.
const TTL_OF_ABSENCE: u32 = 5;
/// Bytes of the longest query that is read; a question is far shorter.
const MAX_QUERY: usize = 1232;
/// Bytes of the header of a message, of the shortest question and of the shortest record (RFC 1035, 4.1).
const HEADER: usize = 12;
const QUESTION: usize = 5;
const RECORD: usize = 11;

/// Who knows the addresses behind names.
pub trait Names: Send + Sync + 'static {
    /// The end of every name that it knows: `localhost`.
    fn zone(&self) -> &str;

    /// The addresses of the load balancer with this DNS name, in lower case and without a dot at its end; `None` when
    /// there is none.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>>;
}

/// Answers the queries that come to `socket`; never returns.
pub async fn serve(socket: UdpSocket, names: &impl Names) {
    let mut buffer = [0; MAX_QUERY];
    loop {
        let (length, client) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // What a client that has gone leaves behind is no reason to end.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
            Err(error) => {
                debug!(%error, "a DNS query could not be read");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let Some(answer) = answer(&buffer[..length], names) else {
            continue;
        };
        if let Err(error) = socket.send_to(&answer, client).await {
            debug!(%client, %error, "a DNS answer could not be sent");
        }
    }
}

/// The answer to `query`; `None` where none is due: to what is no query, and to what nobody can read.
pub fn answer(query: &[u8], names: &impl Names) -> Option<Vec<u8>> {
    if !holds_what_it_counts(query) {
        return None;
    }
    let query = Message::from_vec(query).ok()?;
    if query.metadata.message_type != MessageType::Query {
        return None;
    }
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata.recursion_desired = query.metadata.recursion_desired;
    answer.queries.clone_from(&query.queries);
    if query.edns.is_some() {
        answer.set_edns(Edns::new());
    }
    answer.metadata.response_code = match (query.metadata.op_code, &query.queries[..]) {
        (OpCode::Query, [question]) => fill(&mut answer, question, names),
        (OpCode::Query, _) => ResponseCode::FormErr,
        _ => ResponseCode::NotImp,
    };
    answer.to_vec().ok()
}

/// Whether `query` is long enough for what its header counts (RFC 1035, 4.1.1): the decoder allocates for
/// the counts before it reads on, megabytes for twelve bytes.
fn holds_what_it_counts(query: &[u8]) -> bool {
    let Some((header, body)) = query.split_at_checked(HEADER) else {
        return false;
    };
    let (_, counts) = header.as_chunks::<2>().0.split_at(2);
    let smallest = [QUESTION, RECORD, RECORD, RECORD];
    let counted = counts.iter().zip(smallest);
    let least = counted.map(|(count, size)| usize::from(u16::from_be_bytes(*count)) * size);
    least.sum::<usize>() <= body.len()
}

fn fill(answer: &mut Message, question: &Query, names: &impl Names) -> ResponseCode {
    let Ok(mut zone) = Name::from_ascii(names.zone()) else {
        return ResponseCode::ServFail;
    };
    zone.set_fqdn(true);
    if question.query_class != DNSClass::IN || !zone.zone_of(&question.name) {
        return ResponseCode::Refused;
    }
    answer.metadata.authoritative = true;
    let asked = question.name.to_lowercase().to_ascii();
    let addresses = names.addresses(asked.trim_end_matches('.'));
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

/// Says how long the absence of an answer may be kept (RFC 2308).
fn start_of_authority(zone: Name) -> Record {
    let keep = TTL_OF_ABSENCE;
    let soa = SOA::new(zone.clone(), zone.clone(), 1, 3600, 600, 86400, keep);
    Record::from_rdata(zone, keep, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const NAME: &str = "web-0123456789abcdef.elb.us-east-1.localhost";

    struct One;

    impl Names for One {
        fn zone(&self) -> &str {
            "localhost"
        }

        fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
            let both = [
                Ipv4Addr::new(127, 0, 10, 4).into(),
                Ipv6Addr::LOCALHOST.into(),
            ];
            (name == NAME).then(|| both.to_vec())
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
        let bytes = answer(&query.to_vec().unwrap(), &One).unwrap();
        let answered = Message::from_vec(&bytes).unwrap();
        assert_eq!(answered.metadata.id, query.metadata.id);
        assert_eq!(answered.metadata.message_type, MessageType::Response);
        assert_eq!(answered.queries, query.queries);
        answered
    }

    fn texts(records: &[Record]) -> Vec<String> {
        let text = |r: &Record| format!("{} {} {}", r.ttl, r.record_type(), r.data);
        records.iter().map(text).collect()
    }

    #[test]
    fn a_load_balancer_has_addresses_of_both_families() {
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

    /// RFC 4343: case does not matter, and comes back as it was asked.
    #[test]
    fn case_does_not_matter() {
        let shouted = format!("{}.", NAME.to_uppercase());
        let answered = answered(&query(&shouted, RecordType::A));
        assert_eq!(texts(&answered.answers), ["60 A 127.0.10.4"]);
        assert_eq!(answered.answers[0].name.to_ascii(), shouted);
    }

    /// RFC 2308: what is not there is known not to be there, for a short time.
    #[test]
    fn what_is_not_there_is_told_apart() {
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
    fn other_names_are_somebody_elses() {
        let answered = answered(&query("example.com.", RecordType::A));
        assert_eq!(answered.metadata.response_code, ResponseCode::Refused);
        assert!(!answered.metadata.authoritative);
    }

    #[test]
    fn what_is_no_question_gets_no_addresses() {
        let mut two = query(&format!("{NAME}."), RecordType::A);
        two.add_query(two.queries[0].clone());
        assert_eq!(answered(&two).metadata.response_code, ResponseCode::FormErr);

        let mut update = query(&format!("{NAME}."), RecordType::A);
        update.metadata.op_code = OpCode::Notify;
        assert_eq!(
            answered(&update).metadata.response_code,
            ResponseCode::NotImp
        );

        let mut reply = query(&format!("{NAME}."), RecordType::A);
        reply.metadata.message_type = MessageType::Response;
        assert_eq!(answer(&reply.to_vec().unwrap(), &One), None);
        assert_eq!(answer(b"\0\x01\x02", &One), None);
    }

    // The decoder makes room for 65,535 of each before it reads the first.
    #[test]
    fn a_header_that_counts_more_than_there_is_is_not_decoded() {
        let query = query(&format!("{NAME}."), RecordType::A).to_vec().unwrap();
        assert!(holds_what_it_counts(&query));
        for count in (4..HEADER).step_by(2) {
            let mut counts_more = query.clone();
            counts_more[count..count + 2].copy_from_slice(&[1, 0]);
            assert!(!holds_what_it_counts(&counts_more), "count at {count}");
            assert_eq!(answer(&counts_more, &One), None);
        }
        assert!(!holds_what_it_counts(&query[..HEADER - 1]));
    }

    #[tokio::test]
    async fn a_client_is_answered_over_udp() {
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
            () = serve(socket, &One) => unreachable!("it never returns"),
            answered = asking => answered,
        };
        assert_eq!(texts(&answered.answers), ["60 A 127.0.10.4"]);
    }
}
