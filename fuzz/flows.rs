//! What `fuzz_targets/flows.rs` checks; the tests of `elbow-udp` check the same on its seeds and on generated inputs.

use std::collections::BTreeMap;

use elbow_udp::quic::server_id;
use elbow_udp::runs::{LONGEST, MOST, Piece, datagrams, first_run};
use elbow_udp::table::Table;

/// The first byte says what is checked: the table or messages.
pub(crate) fn check(input: &[u8]) {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    if let Some(id) = server_id(rest) {
        let octets = id.to_be_bytes();
        assert!(rest.windows(octets.len()).any(|part| part == octets));
    }
    if first % 2 == 0 {
        check_table(usize::from(first / 2 % 16) + 1, rest);
    } else {
        check_runs(rest);
    }
}

/// Each two bytes are a step: what is done, and to which flow.
fn check_table(capacity: usize, steps: &[u8]) {
    let mut table = Table::new(capacity);
    // The time of each flow's last datagram.
    let mut model: BTreeMap<u8, u64> = BTreeMap::new();
    let mut now = 0;
    for step in steps.chunks_exact(2) {
        let key = step[1] % 32;
        match step[0] % 8 {
            0..=2 => {
                let (id, removed) = table.insert(key, key, now);
                assert_eq!(table.get(id), Some((&key, &key)));
                if model.remove(&key).is_some() {
                    assert_eq!(removed, Some((key, key)));
                } else if model.len() == capacity {
                    let quiet = model.values().min().copied();
                    let (gone, _) = removed.expect("the table was full");
                    assert_eq!(model.remove(&gone), quiet, "not the quietest flow");
                } else {
                    assert_eq!(removed, None);
                }
                model.insert(key, now);
            }
            3..=4 => {
                let found = table.find(&key);
                assert_eq!(found.is_some(), model.contains_key(&key));
                if let Some(id) = found {
                    table.touch(id, now);
                    model.insert(key, now);
                }
            }
            5 => {
                let removed = table.find(&key).and_then(|id| table.remove(id));
                assert_eq!(removed.is_some(), model.remove(&key).is_some());
            }
            6 => {
                let timeout = u64::from(step[1] % 16);
                while let Some((key, _)) = table.remove_idle(now, timeout) {
                    let active = model.remove(&key).expect("the flow was there");
                    assert!(active + timeout <= now, "the flow was not idle");
                }
                assert!(model.values().all(|active| active + timeout > now));
            }
            _ => {
                now += u64::from(step[1] % 4);
                table.remove_if(
                    |key, _| step[1] % 5 == 0 && key % 3 == 0,
                    |key, _| {
                        model.remove(&key).expect("the flow was there");
                    },
                );
            }
        }
        assert_eq!(table.len(), model.len());
        assert!(table.len() <= capacity);
        assert_eq!(table.next_deadline(0), model.values().min().copied());
    }
}

/// Each four bytes are a received message: its length, and the size of its datagrams.
fn check_runs(input: &[u8]) {
    let piece = |bytes: &[u8]| {
        let len = usize::from(u16::from_le_bytes([bytes[0], bytes[1]])).min(LONGEST);
        let size = usize::from(bytes[2]) + 1;
        let is_joined = bytes[3].is_multiple_of(4) && size < len && len.div_ceil(size) <= MOST;
        Piece {
            len,
            segment: is_joined.then_some(size),
        }
    };
    let pieces: Vec<Piece> = input.chunks_exact(4).map(piece).collect();
    let mut rest = &pieces[..];
    while !rest.is_empty() {
        let (count, segment) = first_run(rest.iter().copied());
        let (run, others) = rest.split_at(count);
        rest = others;
        let total: usize = run.iter().map(|piece| piece.len).sum();
        assert!(count >= 1 && total <= LONGEST);
        let sent = segment.map_or(1, |size| total.div_ceil(usize::from(size)));
        let received: usize = run.iter().map(|piece| datagrams(*piece)).sum();
        assert_eq!(sent, received, "{run:?} as {segment:?}");
        assert!(sent <= MOST);
        // The kernel cuts at multiples of the size: each datagram has to begin at one.
        let mut at = 0;
        for piece in run {
            if let Some(size) = segment {
                assert_eq!(at % usize::from(size), 0);
                assert!(piece.segment.unwrap_or(piece.len) <= usize::from(size));
            }
            at += piece.len;
        }
    }
    assert_eq!(first_run(std::iter::empty()), (0, None));
}
