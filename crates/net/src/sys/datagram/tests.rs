use std::io::ErrorKind;
use std::iter::once;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use rustix::event::{PollFd, PollFlags, poll};

use super::{Envelope, Inbox, Outbox, join_datagrams, report_local_address};

fn socket() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// Receives until the inbox has `messages` messages.
fn receive(inbox: &mut Inbox, socket: &UdpSocket, messages: usize) {
    while inbox.len() < messages {
        poll(&mut [PollFd::new(socket, PollFlags::IN)], None).unwrap();
        inbox.receive(socket, 64).unwrap();
    }
}

#[test]
fn messages_of_several_senders_are_received_at_once() {
    let (server, a, b) = (socket(), socket(), socket());
    let to = server.local_addr().unwrap();
    for (sender, text) in [(&a, "one"), (&b, ""), (&a, "three")] {
        sender.send_to(text.as_bytes(), to).unwrap();
    }
    let mut inbox = Inbox::new(4);
    receive(&mut inbox, &server, 3);
    let messages = |slot| (inbox.bytes(slot), inbox.sender(slot));
    assert_eq!(messages(0), (&b"one"[..], a.local_addr().ok()));
    assert_eq!(messages(1), (&b""[..], b.local_addr().ok()));
    assert_eq!(messages(2), (&b"three"[..], a.local_addr().ok()));
    assert_eq!(inbox.destination(0), None);
    let empty = inbox.receive(&server, 64).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
    inbox.clear();
    assert!(inbox.is_empty());
}

#[test]
fn receives_no_more_than_asked_for_and_than_there_is_room() {
    let (server, client) = (socket(), socket());
    for i in 0..5 {
        client.send_to(&[i], server.local_addr().unwrap()).unwrap();
    }
    let mut inbox = Inbox::new(3);
    assert_eq!(inbox.receive(&server, 1).unwrap(), 1);
    receive(&mut inbox, &server, 3);
    assert!(inbox.is_full());
    assert_eq!(inbox.bytes(2), [2]);
    inbox.clear();
    receive(&mut inbox, &server, 2);
    assert_eq!(inbox.bytes(0), [3]);
}

#[test]
fn local_address_is_received_and_sent_from() {
    let server = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    report_local_address(&server, false).unwrap();
    let client = socket();
    let local = Ipv4Addr::new(127, 5, 6, 7);
    let port = server.local_addr().unwrap().port();
    client.send_to(b"?", (local, port)).unwrap();
    let mut inbox = Inbox::new(1);
    receive(&mut inbox, &server, 1);
    assert_eq!(inbox.destination(0), Some(local.into()));
    let mut outbox = Outbox::new(1);
    let mut queue = outbox.queue();
    let envelope = Envelope {
        to: inbox.sender(0),
        from: inbox.destination(0),
        segment: None,
    };
    assert!(queue.push(&envelope, once(&b"!"[..])));
    assert_eq!(queue.send(&server).unwrap(), 1);
    let mut answer = [0; 9];
    let (n, from) = client.recv_from(&mut answer).unwrap();
    assert_eq!((&answer[..n], from), (&b"!"[..], (local, port).into()));
}

#[test]
fn local_ipv6_address_is_received_and_sent_from() {
    let Ok(server) = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) else {
        eprintln!("skipped: needs IPv6");
        return;
    };
    report_local_address(&server, true).unwrap();
    let client = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    client.send_to(b"?", (Ipv6Addr::LOCALHOST, port)).unwrap();
    let mut inbox = Inbox::new(1);
    receive(&mut inbox, &server, 1);
    assert_eq!(inbox.destination(0), Some(Ipv6Addr::LOCALHOST.into()));
    let mut outbox = Outbox::new(2);
    let mut queue = outbox.queue();
    let envelope = Envelope {
        to: inbox.sender(0),
        from: inbox.destination(0),
        segment: Some(1),
    };
    assert!(queue.push(&envelope, [&b"a"[..], b"b"].into_iter()));
    assert_eq!(queue.send(&server).unwrap(), 1);
    for expected in [b"a", b"b"] {
        let mut answer = [0; 9];
        let (n, from) = client.recv_from(&mut answer).unwrap();
        assert_eq!(&answer[..n], expected);
        assert_eq!(from, (Ipv6Addr::LOCALHOST, port).into());
    }
}

#[test]
fn parts_leave_as_segments_and_are_joined_by_the_receiver() {
    let (server, client) = (socket(), socket());
    join_datagrams(&server).unwrap();
    client.connect(server.local_addr().unwrap()).unwrap();
    let mut outbox = Outbox::new(3);
    let mut queue = outbox.queue();
    let envelope = Envelope {
        segment: Some(4),
        ..Envelope::default()
    };
    let parts = [&b"aaaa"[..], b"bbbb", b"cc"];
    assert!(queue.push(&envelope, parts.into_iter()));
    assert_eq!(queue.send(&client).unwrap(), 1);
    let mut inbox = Inbox::new(4);
    receive(&mut inbox, &server, 1);
    assert_eq!(inbox.bytes(0), b"aaaabbbbcc");
    assert_eq!(inbox.segment(0), Some(4));
    assert_eq!(inbox.sender(0), client.local_addr().ok());
}

#[test]
fn messages_beyond_the_room_are_not_added() {
    let mut outbox = Outbox::new(2);
    let mut queue = outbox.queue();
    let envelope = Envelope::default();
    assert!(!queue.push(&envelope, [&b"a"[..], b"b", b"c"].into_iter()));
    assert!(queue.push(&envelope, once(&b"a"[..])));
    assert!(queue.push(&envelope, once(&b"b"[..])));
    assert!(!queue.push(&envelope, once(&b"c"[..])));
    assert_eq!(queue.len(), 2);
    queue.skip();
    queue.skip();
    queue.skip();
    assert!(queue.is_empty());
    assert_eq!(queue.send(socket()).unwrap(), 0);
}

#[test]
fn failed_message_is_the_first_and_can_be_left_out() {
    let (server, client) = (socket(), socket());
    client.connect(server.local_addr().unwrap()).unwrap();
    let mut outbox = Outbox::new(4);
    let too_long = vec![0; 65_530];
    let mut queue = outbox.queue();
    let envelope = Envelope::default();
    for bytes in [&b"a"[..], &too_long, b"b"] {
        assert!(queue.push(&envelope, once(bytes)));
    }
    assert_eq!(queue.send(&client).unwrap(), 1);
    assert!(queue.send(&client).is_err());
    queue.skip();
    assert_eq!(queue.send(&client).unwrap(), 1);
    let mut inbox = Inbox::new(4);
    receive(&mut inbox, &server, 2);
    assert_eq!((inbox.bytes(0), inbox.bytes(1)), (&b"a"[..], &b"b"[..]));
}

#[test]
fn refused_datagram_is_reported_once() {
    let (server, client) = (socket(), socket());
    client.connect(server.local_addr().unwrap()).unwrap();
    drop(server);
    client.send(b"lost").unwrap();
    poll(&mut [PollFd::new(&client, PollFlags::IN)], None).unwrap();
    let mut inbox = Inbox::new(1);
    let refused = inbox.receive(&client, 1).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let empty = inbox.receive(&client, 1).unwrap_err();
    assert_eq!(empty.kind(), ErrorKind::WouldBlock);
}

#[test]
fn options_of_udp_are_refused_by_other_sockets() {
    let (other, _peer) = std::os::unix::net::UnixDatagram::pair().unwrap();
    assert!(join_datagrams(&other).is_err());
    assert!(report_local_address(&other, false).is_err());
}
