//! Ten clients of HTTP/2, each hostile in its own way.

use std::thread;

use elbow_tests::Client;
use elbow_tests::frames::{self, INITIAL_WINDOW_SIZE, WINDOW_MAX, frame};

use crate::kinds;
use crate::stage::Stage;

/// The streams of a client.
const STREAMS: u32 = 128;
/// The frames of a flood: far more than is taken.
const FLOOD: u32 = 20_000;

/// The ten kinds. Each returns its connection, which elbow may have closed.
const KINDS: [fn(&Stage) -> Client; 10] = [
    kinds::reset_rapidly,
    kinds::continue_endlessly,
    bomb_hpack,
    send_empty_data,
    kinds::flood_settings,
    play_with_windows,
    upload_byte_by_byte,
    leave_streams_half_open,
    never_grant_window,
    read_nothing,
];

/// Lets all of them attack at once.
pub(crate) fn attack(stage: &Stage) -> Vec<Client> {
    thread::scope(|scope| {
        let attacking = KINDS.map(|attack| scope.spawn(move || attack(stage)));
        attacking.into_iter().map(|a| a.join().unwrap()).collect()
    })
}

fn streams() -> impl Iterator<Item = u32> {
    (0..STREAMS).map(|n| 2 * n + 1)
}

/// A client that starts uploads to a target that accepts no connection.
fn uploading(stage: &Stage) -> Client {
    let mut client = stage.over_h2(WINDOW_MAX);
    for id in streams() {
        client.send(frames::request(id, "POST", "/mute", &[], false));
    }
    client
}

/// Heads of 60 KB that take a few bytes each: one field fills the table, and is repeated.
fn bomb_hpack(stage: &Stage) -> Client {
    let mut client = stage.over_h2(WINDOW_MAX);
    for id in streams() {
        // GET https://h/mute.
        let mut block = b"\x82\x87\x41\x01h\x44\x05/mute".to_vec();
        if id == 1 {
            block.extend(b"\x40\x03x-a\x7f\xa1\x1e");
            block.extend([b'v'; 4000]);
        }
        block.extend([0xbe; 15]);
        let flags = frames::END_HEADERS | frames::END_STREAM;
        let _ = client.try_send(frame(frames::HEADERS, flags, id, &block));
    }
    client
}

fn send_empty_data(stage: &Stage) -> Client {
    let mut client = uploading(stage);
    for n in 0..FLOOD {
        let _ = client.try_send(frame(frames::DATA, 0, 2 * (n % STREAMS) + 1, &[]));
    }
    client
}

/// Windows of streams that go up and down, and grow by single bytes.
fn play_with_windows(stage: &Stage) -> Client {
    let mut client = stage.over_h2(WINDOW_MAX);
    for id in streams() {
        client.send(frames::get(id, "/endless"));
    }
    for n in 0..FLOOD {
        let window = [0, 1 << 20][n as usize % 2];
        let mut bytes = frames::settings(&[(INITIAL_WINDOW_SIZE, window)]);
        let id = 2 * (n % STREAMS) + 1;
        bytes.extend(frame(frames::WINDOW_UPDATE, 0, id, &1_u32.to_be_bytes()));
        let _ = client.try_send(bytes);
    }
    client
}

fn upload_byte_by_byte(stage: &Stage) -> Client {
    let mut client = uploading(stage);
    for n in 0..FLOOD {
        let _ = client.try_send(frame(frames::DATA, 0, 2 * (n % STREAMS) + 1, b"x"));
    }
    client
}

/// Requests that never end, half of them with a part of a head in progress.
fn leave_streams_half_open(stage: &Stage) -> Client {
    let mut client = uploading(stage);
    let _ = client.try_send(frame(frames::HEADERS, 0, 2 * STREAMS + 1, &[0x82]));
    client
}

fn never_grant_window(stage: &Stage) -> Client {
    let mut client = stage.over_h2(0);
    for id in streams() {
        client.send(frames::get(id, "/endless"));
    }
    client
}

fn read_nothing(stage: &Stage) -> Client {
    let mut client = stage.over_h2(WINDOW_MAX);
    for id in streams() {
        client.send(frames::get(id, "/endless"));
    }
    client
}
