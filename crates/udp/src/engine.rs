use std::cell::RefCell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use elbow_net::{Timer, Worker, readable};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use crate::gate::Gate;
use crate::passed::Passed;
use crate::state::{FRONT, Ground, State};

#[cfg(test)]
mod tests;

/// Turns before other tasks of the worker get theirs.
const TURNS: usize = 8;

/// Serves the UDP listeners of one worker.
///
/// It has an epoll descriptor of its own, which the runtime polls. So a datagram costs no wake-up of a task, and no task exists for
/// a flow.
pub struct Engine<G: Gate> {
    ground: Ground,
    state: RefCell<State<G>>,
}

impl<G: Gate> Engine<G> {
    /// An engine without listeners, for the thread of `worker`.
    ///
    /// # Errors
    /// If no descriptor is left.
    ///
    /// # Panics
    /// Outside a runtime that drives I/O.
    pub fn new(worker: Rc<Worker>) -> io::Result<Rc<Self>> {
        let epoll = readable(epoll::create(epoll::CreateFlags::CLOEXEC)?)?;
        Ok(Rc::new(Self {
            ground: Ground { worker, epoll },
            state: RefCell::new(State::new()),
        }))
    }

    /// Serves until it is dropped. While the worker drains, flows that are quiet for two seconds end.
    pub async fn run(self: Rc<Self>) -> Infallible {
        let timer = self.ground.worker.timers.timer(Duration::MAX);
        poll_fn(|cx| self.poll(cx, &timer)).await
    }

    /// Serves the datagrams that arrive at `socket`, and returns its number.
    ///
    /// # Errors
    /// If the kernel refuses to watch the socket.
    pub fn listen(&self, socket: UdpSocket, gate: G) -> io::Result<u32> {
        self.state.borrow_mut().listen(&self.ground, socket, gate)
    }

    /// Serves socket `id` for another listener from now on. Its flows stay.
    pub fn hand_over(&self, id: u32, gate: G) {
        if let Some(front) = self.state.borrow_mut().fronts.get_mut(id as usize) {
            front.hand_over(gate);
        }
    }

    /// Closes socket `id`, and ends its flows: no answer can leave without it.
    pub fn close(&self, id: u32) {
        let mut state = self.state.borrow_mut();
        state.end_flows_of(id);
        if let Some(front) = state.fronts.try_remove(id as usize) {
            self.ground.forget(&front.socket);
        }
    }

    /// A copy of socket `id`.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub fn copy(&self, id: u32) -> io::Result<OwnedFd> {
        let state = self.state.borrow();
        let front = state.fronts.get(id as usize);
        let front = front.ok_or(io::ErrorKind::NotFound)?;
        Ok(front.socket.try_clone()?.into())
    }

    /// Leaves new datagrams of clients to another process, which has copies of the sockets. Answers of targets still leave.
    pub fn stop_receiving(&self) {
        for (_, front) in &self.state.borrow().fronts {
            self.ground.forget(&front.socket);
        }
    }

    /// Receives datagrams of clients again after [`Self::stop_receiving`].
    pub fn receive_again(&self) {
        for (id, front) in &self.state.borrow().fronts {
            // Fails only if it is watched already.
            let _ = self.ground.watch_front(&front.socket, id as u32);
        }
    }

    /// Takes all flows out; returns them with the numbers of their sockets, the ones that have been idle for longest first. Call
    /// [`Self::stop_receiving`] before, or their next datagrams begin others.
    pub fn take_flows(&self) -> Vec<(u32, Passed)> {
        let mut taken = Vec::new();
        let mut state = self.state.borrow_mut();
        state.take_flows(&self.ground, |front, flow| taken.push((front, flow)));
        taken
    }

    /// Serves a flow whose datagrams arrive at socket `id`, and returns whether it does: not if its target is not registered there,
    /// and not at a limit.
    pub fn adopt(&self, id: u32, flow: Passed) -> bool {
        let mut state = self.state.borrow_mut();
        state.adopt(&self.ground, id, flow).is_some()
    }

    /// Ends the flows whose targets were deregistered or became unhealthy, or whose group lost its weight. The next datagram of the
    /// client begins another one.
    pub fn end_terminated(&self) {
        self.state.borrow_mut().end_terminated();
    }

    fn poll(&self, cx: &mut Context<'_>, timer: &Timer) -> Poll<Infallible> {
        let mut state = self.state.borrow_mut();
        for _ in 0..TURNS {
            let Poll::Ready(Ok(mut ready)) = self.ground.epoll.poll_read_ready(cx) else {
                state.tend(&self.ground.worker, timer);
                timer.register(cx);
                return Poll::Pending;
            };
            if !turn(&mut state, &self.ground) {
                ready.clear_ready();
            }
        }
        state.tend(&self.ground.worker, timer);
        timer.register(cx);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Moves the datagrams of the sockets that have some. Returns `false` if no socket has any.
fn turn<G: Gate>(state: &mut State<G>, ground: &Ground) -> bool {
    let mut events = std::mem::take(&mut state.events);
    events.clear();
    let now = Timespec::default();
    let waited = epoll::wait(
        ground.epoll.get_ref(),
        spare_capacity(&mut events),
        Some(&now),
    );
    let has_events = waited.is_ok_and(|count| count > 0);
    // Answers first: they leave in one batch.
    for data in events.iter().map(|event| event.data.u64()) {
        if data & FRONT == 0 {
            state.receive_from_target(ground, data as u32);
        }
    }
    state.answer();
    for data in events.iter().map(|event| event.data.u64()) {
        if data & FRONT != 0 {
            state.receive_from_clients(ground, data as u32);
        }
    }
    state.events = events;
    has_events
}
