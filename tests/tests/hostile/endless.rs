//! A target of HTTP/2 that sends endlessly, in one thread.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::thread;

use bytes::Bytes;
use elbow_tests::address;
use h2::server::SendResponse;
use http::Response;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

const PIECE: usize = 16 * 1024;

/// Starts a target that answers `/` at once, and other paths with an endless body. It ends with the process.
pub(crate) fn start() -> SocketAddr {
    let socket = std::net::TcpListener::bind((address(), 8080)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let bound = socket.local_addr().unwrap();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async move {
            let socket = TcpListener::from_std(socket).unwrap();
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                spawn_local(serve(stream));
            }
        });
    });
    bound
}

async fn serve(stream: TcpStream) {
    let Ok(mut http) = h2::server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = http.accept().await {
        let is_health_check = request.uri().path() == "/";
        spawn_local(answer(respond, is_health_check));
    }
}

async fn answer(mut respond: SendResponse<Bytes>, is_empty: bool) {
    let Ok(mut body) = respond.send_response(Response::new(()), is_empty) else {
        return;
    };
    if is_empty {
        return;
    }
    loop {
        body.reserve_capacity(PIECE);
        match poll_fn(|cx| body.poll_capacity(cx)).await {
            Some(Ok(n)) if body.send_data(vec![b'x'; n].into(), false).is_ok() => {}
            _ => return,
        }
    }
}
