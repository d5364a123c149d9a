//! Bytes read before the relay began.

use super::*;
use crate::Buffer;

fn buffer(worker: &Worker, bytes: &[u8]) -> Option<Buffer> {
    let mut buffer = worker.buffers.take();
    assert_eq!(buffer.extend(bytes), bytes.len());
    Some(buffer)
}

// An HTTP connection that was upgraded to a WebSocket.
#[test]
fn early_bytes_come_first_in_both_directions() {
    run(async {
        let worker = Worker::new(0);
        let (mut client, accepted) = pair().await;
        let (connected, mut target) = pair().await;
        let (mut accepted, mut connected) = (Opaque::new(accepted), Opaque::new(connected));
        let early = Early {
            from_client: buffer(&worker, b"up"),
            from_target: buffer(&worker, b"down"),
        };
        client.write_all(b", then up").await.unwrap();
        target.write_all(b", then down").await.unwrap();
        client.shutdown().await.unwrap();
        target.shutdown().await.unwrap();
        let of_task = Rc::clone(&worker);
        let relayed = spawn_local(async move {
            let (client, target) = (&mut accepted, &mut connected);
            let relay = relay_until_idle(&of_task, client, target, early, DAY, || false, |_, _| {});
            relay.await
        });
        let (mut at_target, mut at_client) = (String::new(), String::new());
        soon(target.read_to_string(&mut at_target)).await.unwrap();
        soon(client.read_to_string(&mut at_client)).await.unwrap();
        assert_eq!(
            (&*at_target, &*at_client),
            ("up, then up", "down, then down")
        );
        let relayed = soon(relayed).await.unwrap();
        assert_eq!(
            (relayed.client_to_target, relayed.target_to_client),
            (11, 15)
        );
        assert_eq!(worker.buffers.in_use(), 0);
    });
}
