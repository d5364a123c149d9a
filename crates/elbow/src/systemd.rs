//! The protocols of systemd: socket activation (sd_listen_fds(3)) and notification (sd_notify(3)).

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use elbow_net::take_inherited;
use elbow_plane::Plane;
use rustix::time::{ClockId, clock_gettime};
use tracing::{debug, warn};

const LISTEN_PID: &str = "LISTEN_PID";
const LISTEN_FDS: &str = "LISTEN_FDS";
const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
const WATCHDOG_PID: &str = "WATCHDOG_PID";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Variables that a child process must not inherit: they are about one process.
pub(crate) const OF_ONE_PROCESS: [&str; 4] = [LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, WATCHDOG_PID];

/// The first passed descriptor (`SD_LISTEN_FDS_START`).
const FIRST: i32 = 3;
/// The most sockets of a unit; systemd's own limit is lower.
const MAX_SOCKETS: i32 = 4096;

/// The sockets that systemd passed to this process, with their names (`FileDescriptorName=`).
///
/// # Errors
/// A variable or a descriptor is not what systemd passes.
pub(crate) fn activated() -> io::Result<Vec<(String, OwnedFd)>> {
    let Some(count) = passed(&|name| env::var_os(name), std::process::id())? else {
        return Ok(Vec::new());
    };
    let names = env::var(LISTEN_FDNAMES).unwrap_or_default();
    let mut names = names.split(':').map(str::to_owned);
    let sockets = (FIRST..FIRST + count).map(|number| {
        let name = names.next().filter(|name| !name.is_empty());
        let name = name.unwrap_or_else(|| format!("descriptor {number}"));
        Ok((name, take_inherited(number)?))
    });
    sockets.collect()
}

/// The number of sockets that the variables say are for process `own`.
fn passed(variable: &dyn Fn(&str) -> Option<OsString>, own: u32) -> io::Result<Option<i32>> {
    let number = |name: &str| variable(name)?.into_string().ok();
    if number(LISTEN_PID).and_then(|id| id.parse().ok()) != Some(own) {
        return Ok(None);
    }
    let count = number(LISTEN_FDS).and_then(|count| count.parse().ok());
    match count.filter(|count| (0..=MAX_SOCKETS).contains(count)) {
        Some(count) => Ok(Some(count)),
        None => Err(io::Error::other(format!(
            "{LISTEN_FDS} is not a number of sockets"
        ))),
    }
}

/// Sends `message` to systemd, if it wants to be notified.
pub(crate) fn notify(message: &str) {
    let Some(to) = env::var_os(NOTIFY_SOCKET).filter(|to| !to.is_empty()) else {
        return;
    };
    let sent = (|| {
        let name = to.as_bytes();
        let address = match name.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(&to)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(message.as_bytes(), &address)
    })();
    if let Err(error) = sent {
        warn!(%error, "cannot notify systemd");
    }
}

/// This process serves.
pub(crate) fn ready() {
    notify("READY=1\n");
}

/// This process reads its configuration again; [`ready`] ends that.
pub(crate) fn reloading() {
    let now = clock_gettime(ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}\n"));
}

/// This process ends.
pub(crate) fn stopping() {
    notify("STOPPING=1\n");
}

/// Tells systemd twice per interval of its watchdog that `plane` responds, if systemd watches this process.
pub(crate) async fn watch(plane: Arc<Plane>) {
    let Some(pause) = watchdog(&|name| env::var(name).ok(), std::process::id()) else {
        return;
    };
    debug!(?pause, "systemd watches this process");
    loop {
        let asked = Arc::clone(&plane);
        let responds = tokio::task::spawn_blocking(move || asked.responds(pause)).await;
        if responds.unwrap_or_default() {
            notify("WATCHDOG=1\n");
        } else {
            warn!("a worker does not respond");
        }
        tokio::time::sleep(pause).await;
    }
}

/// Half the interval of the watchdog, if it watches process `own`.
fn watchdog(variable: &dyn Fn(&str) -> Option<String>, own: u32) -> Option<Duration> {
    let of_another = variable(WATCHDOG_PID).is_some_and(|id| id.parse() != Ok(own));
    let microseconds: u64 = variable(WATCHDOG_USEC)?.parse().ok()?;
    let interval = Duration::from_micros(microseconds);
    (!of_another && !interval.is_zero()).then_some(interval / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_for_one_process() {
        let of = |id: &str, count: &str| {
            let variables = [(LISTEN_PID, id.to_owned()), (LISTEN_FDS, count.to_owned())];
            let variable = move |name: &str| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            };
            passed(&variable, 7)
        };
        assert_eq!(of("7", "2").unwrap(), Some(2));
        assert_eq!(of("8", "2").unwrap(), None);
        assert_eq!(of("", "2").unwrap(), None);
        for bad in ["", "x", "-1", "5000"] {
            assert!(of("7", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn watchdog_is_told_twice_per_interval() {
        let of = |id: Option<&'static str>, interval: Option<&'static str>| {
            let variable = move |name: &str| {
                let value = if name == WATCHDOG_PID { id } else { interval };
                value.map(str::to_owned)
            };
            watchdog(&variable, 7)
        };
        let half = Some(Duration::from_secs(1));
        assert_eq!(of(None, Some("2000000")), half);
        assert_eq!(of(Some("7"), Some("2000000")), half);
        assert_eq!(of(Some("8"), Some("2000000")), None);
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some("0")), None);
    }
}
