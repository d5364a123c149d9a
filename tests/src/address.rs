//! Loopback addresses that no other test uses, so that tests can bind fixed ports.

use std::net::{IpAddr, Ipv4Addr, TcpListener, UdpSocket};
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The most test programs at the same time.
const BLOCKS: u32 = 4096;
/// Addresses of [`address`] per test program.
const ADDRESSES: u32 = 4 * 254;
/// Networks of [`network`] per test program.
const NETWORKS: u32 = 64;

/// The block of addresses reserved for this test program until it ends. A socket at an address that is never handed out
/// claims the block. Process ids only spread the claims: thousands pass while a slow test runs, so the ids of two running programs may
/// map to the same block.
fn block() -> u32 {
    static CLAIM: OnceLock<(u32, UdpSocket)> = OnceLock::new();
    let claim = || {
        let free = |block: &u32| UdpSocket::bind((part(*block, 0, 0), 9901)).ok();
        (0..BLOCKS)
            .map(|n| process::id().wrapping_add(n) % BLOCKS)
            .find_map(|block| Some((block, free(&block)?)))
            .unwrap()
    };
    CLAIM.get_or_init(claim).0
}

/// An address of 127.64.0.0/10; a block has four networks of 256.
fn part(block: u32, network: u32, last: u32) -> Ipv4Addr {
    let base = Ipv4Addr::new(127, 64, 0, 0).to_bits();
    Ipv4Addr::from_bits(base + ((block * 4 + network) << 8) + last)
}

/// A fresh address of 127.64.0.0/10.
pub fn address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(n < ADDRESSES, "a test program has {ADDRESSES} addresses");
    part(block(), n / 254, n % 254 + 1)
}

/// A fresh network of 14 addresses in 127.128.0.0/9, disjoint from [`address`], for load
/// balancers with names that are not known beforehand.
pub fn network() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    assert!(n < NETWORKS, "a test program has {NETWORKS} networks");
    let first = Ipv4Addr::new(127, 128, 0, 0).to_bits() + (block() * NETWORKS + n) * 16;
    format!("{}/28", Ipv4Addr::from_bits(first))
}

/// Four consecutive ports for programs that listen at an address that tests share, such as 127.0.0.1. They are below the
/// kernel's range for clients (`net.ipv4.ip_local_port_range`), so that no connection takes one before its program listens.
#[derive(Debug)]
pub struct Ports {
    /// The lowest port.
    pub first: u16,
    /// Claims the ports among test programs, at an address that is never handed out.
    _claim: UdpSocket,
}

impl Ports {
    /// Claims free ports of 127.0.0.1 until this is dropped.
    pub fn claim() -> Self {
        Self::claim_at(Ipv4Addr::LOCALHOST.into()).unwrap()
    }

    /// Claims free ports of `ip` until this is dropped; `None` on a machine without this address.
    pub fn claim_at(ip: IpAddr) -> Option<Self> {
        // Tests use none of these ports at addresses of their own.
        const FIRST: u16 = 10_000;
        const BLOCKS: u16 = 2_500;
        UdpSocket::bind((ip, 0)).ok()?;
        let start = (process::id() % u32::from(BLOCKS)) as u16;
        let claim = |first: u16| {
            // At a port that is not one of them: they may be for every address.
            let claim = UdpSocket::bind((Ipv4Addr::new(127, 63, 0, 1), first / 4)).ok()?;
            let free =
                |port| TcpListener::bind((ip, port)).is_ok() && UdpSocket::bind((ip, port)).is_ok();
            (first..first + 4).all(free).then_some(Self {
                first,
                _claim: claim,
            })
        };
        (0..BLOCKS)
            .map(|n| FIRST + (start + n) % BLOCKS * 4)
            .find_map(claim)
    }
}
