use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A machine with 10.99.1.1/24 at `back`, 10.0.0.0/8 by a router, a pod, and no route to anything else.
const ROUTES: &str = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0
back\t0001630A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t0000000A\t0101630A\t0003\t0\t0\t0\t000000FF\t0\t0\t0
*\t0009090A\t00000000\t0201\t0\t0\t0\t00FFFFFF\t0\t0\t0
veth1\t0501F40A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0
";

const ROUTES_V6: &str = "\
fd990001000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     back
fd990000000000000000000000000000 20 00000000000000000000000000000000 00 fd990001000000000000000000000001 00000400 00000001 00000000 00000003     back
fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     back
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
fd990009000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400 00000001 00000000 00200200       lo
fd990001000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001     back
";

#[test]
#[cfg(target_endian = "little")]
fn addresses_of_one_network_are_joined() {
    let mut networks = ipv4(ROUTES);
    networks.extend(ipv6(ROUTES_V6));
    let networks = Networks(networks);
    for (a, b, expected) in [
        ("10.99.1.2", "10.99.1.11", true),
        ("10.99.1.2", "10.99.2.11", false),
        // By a router.
        ("10.1.0.1", "10.1.0.2", false),
        // Unreachable.
        ("10.9.9.1", "10.9.9.2", false),
        ("fd99:9::1", "fd99:9::2", false),
        // One address alone, and everything.
        ("10.244.1.5", "10.244.1.5", false),
        ("192.0.2.1", "192.0.2.2", false),
        ("fd99:1::2", "fd99:1::11", true),
        ("fd99:1::2", "fd99:2::11", false),
        ("fe80::1", "fe80::2", false),
        ("10.99.1.2", "fd99:1::2", false),
    ] {
        let source = if expected {
            Source::Own(ip(a))
        } else {
            Source::Any
        };
        let target = SocketAddr::new(ip(b), 80);
        assert_eq!(networks.source(ip(a), target), source, "{a} {b}");
    }
    for (address, expected) in [
        ("10.99.1.11", Some("10.99.1.0/24")),
        ("fd99:1::11", Some("fd99:1::/64")),
        ("192.0.2.1", None),
    ] {
        assert_eq!(networks.of(ip(address)).as_deref(), expected);
    }
    // Loopback addresses reach each other without a network.
    let target = SocketAddr::new(ip("127.0.0.1"), 80);
    let source = Source::Own(ip("127.0.10.4"));
    assert_eq!(networks.source(ip("127.0.10.4"), target), source);
}

#[test]
fn garbage_is_no_network() {
    for text in ["", "\n", "a b c", "eth0 0 0 0 0 0 0 x", "zz 40 0 0 0"] {
        assert!(ipv4(text).is_empty() && ipv6(text).is_empty(), "{text}");
    }
}

#[test]
fn networks_of_this_machine_can_be_read() {
    let networks = Networks::of_machine();
    assert!(!networks.join(ip("192.0.2.1"), ip("2001:db8::1")));
}
