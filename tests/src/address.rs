//! Loopback addresses that no other test uses, so that tests may bind the very ports they speak of.

use std::net::Ipv4Addr;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A fresh address of 127.64.0.0/10. The process id picks a block of 1,016 addresses, so test programs
/// that run at the same time do not meet.
pub fn address() -> Ipv4Addr {
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(n < 4 * 254, "a test program has 1,016 addresses");
    let block = process::id() % 4096;
    let octet = |n: u32| u8::try_from(n).unwrap();
    Ipv4Addr::new(
        127,
        octet(64 + block / 64),
        octet((block % 64) * 4 + n / 254),
        octet(n % 254 + 1),
    )
}

/// A fresh network of 14 addresses in 127.128.0.0/9, where no address of [`address`] is, for load
/// balancers whose names are not known beforehand.
pub fn network() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(n < 64, "a test program has 64 networks");
    let block = process::id() % 8192;
    let first = Ipv4Addr::new(127, 128, 0, 0).to_bits() + (block * 64 + n) * 16;
    format!("{}/28", Ipv4Addr::from_bits(first))
}
