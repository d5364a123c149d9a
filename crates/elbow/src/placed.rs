//! A record of load balancers that do not have the address of their name, so that a restart does not swap addresses.
//!
//! The address of a load balancer follows from its name. Only if two names lead to the same address, the one that came
//! later has another. The record, a file in the user's data folder, has a line for each of those: pool, name, address. A
//! record that cannot be read or written is as good as none.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elbow_model::addresses::{Ipv4Net, Preferred};
use elbow_plane::{Applied, Plane};
use tracing::debug;

use crate::authority::Home;

/// The longest record that is read, in bytes.
const MAX_LENGTH: u64 = 1 << 20;
/// Beyond so many lines, those of other pools are dropped; they may be of processes that no longer run.
const MAX_LINES: usize = 1_000;

/// Addresses by pool and name.
type Lines = BTreeMap<(String, String), IpAddr>;

/// The addresses that load balancers of `pool` had.
pub(crate) fn recorded(pool: Ipv4Net) -> BTreeMap<Arc<str>, IpAddr> {
    let Some(path) = path() else {
        return BTreeMap::new();
    };
    let pool = pool.to_string();
    let lines = read(&path).into_iter();
    let own = lines.filter(|((of, _), _)| *of == pool);
    own.map(|((_, name), address)| (Arc::from(name), address))
        .collect()
}

/// Lets load balancers keep the recorded addresses.
pub(crate) fn adopt(plane: &Plane) {
    let addresses = recorded(plane.view().address_pool());
    plane.prefer(Preferred {
        addresses,
        moves: false,
    });
}

/// Records where load balancers are, after a change.
pub(crate) fn keep(plane: &Plane, applied: &Applied) {
    let (before, now) = (&applied.before.load_balancers, &applied.now.load_balancers);
    let mut pairs = before.iter().zip(now);
    if before.len() == now.len() && pairs.all(|(before, now)| before.name == now.name) {
        return;
    }
    let Some(path) = path() else {
        return;
    };
    let view = plane.view();
    let pool = view.address_pool().to_string();
    let known = read(&path);
    let mut lines = known.clone();
    for lb in before.iter().chain(now) {
        lines.remove(&(pool.clone(), lb.name.to_string()));
    }
    let displaced = view.displaced().into_iter();
    lines.extend(displaced.map(|(name, address)| ((pool.clone(), name.to_string()), address)));
    if lines.len() > MAX_LINES {
        lines.retain(|(of, _), _| *of == pool);
    }
    if lines != known
        && let Err(error) = write(&path, &lines)
    {
        debug!(path = %path.display(), %error, "cannot record addresses");
    }
}

fn path() -> Option<PathBuf> {
    Some(Home::find().ok()?.folder().join("addresses"))
}

fn read(path: &Path) -> Lines {
    let mut text = String::new();
    let file = fs::File::open(path);
    let read = file.and_then(|file| file.take(MAX_LENGTH).read_to_string(&mut text));
    if read.is_err() {
        return Lines::new();
    }
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let key = (words.next()?.to_owned(), words.next()?.to_owned());
        Some((key, words.next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

/// Replaces the record, so that a reader sees the old or the new one.
fn write(path: &Path, lines: &Lines) -> std::io::Result<()> {
    let line = |((pool, name), address): (&(String, String), &IpAddr)| {
        format!("{pool} {name} {address}\n")
    };
    let text: String = lines.iter().map(line).collect();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let next = path.with_extension(format!("{}", std::process::id()));
    fs::write(&next, text)?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_read_as_it_was_written() {
        let folder = std::env::temp_dir().join(format!("elbow-placed-{}", std::process::id()));
        let path = folder.join("deeper/addresses");
        assert_eq!(read(&path), Lines::new());
        let key = ("127.0.10.0/24".to_owned(), "a".to_owned());
        let lines = Lines::from([(key, "127.0.10.7".parse().unwrap())]);
        write(&path, &lines).unwrap();
        assert_eq!(read(&path), lines);
        fs::write(&path, "127.0.10.0/24 a 127.0.10.7\nnonsense\n\u{0} b c\n").unwrap();
        assert_eq!(read(&path), lines);
        fs::remove_dir_all(&folder).unwrap();
    }
}
