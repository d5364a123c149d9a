//! Queries to the DNS server of elbow.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

/// The addresses of `name`, or the response code.
pub fn look_up(server: SocketAddr, name: &str) -> Result<Vec<IpAddr>, ResponseCode> {
    look_up_from(server.ip(), server, name)
}

/// The same for a client at `ip`.
pub fn look_up_from(
    ip: IpAddr,
    server: SocketAddr,
    name: &str,
) -> Result<Vec<IpAddr>, ResponseCode> {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut query = Message::query();
    let name = Name::from_ascii(format!("{name}.")).unwrap();
    query.add_query(Query::query(name, RecordType::A));
    socket.send_to(&query.to_vec().unwrap(), server).unwrap();
    let mut buffer = [0; 1500];
    let length = socket.recv(&mut buffer).unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(answer.metadata.id, query.metadata.id);
    let addresses = answer.answers.iter().map(|record| match &record.data {
        RData::A(ip) => IpAddr::V4(ip.0),
        other => panic!("{other}"),
    });
    match answer.metadata.response_code {
        ResponseCode::NoError => Ok(addresses.collect()),
        other => Err(other),
    }
}
