use std::collections::HashSet;
use std::net::Ipv4Addr;

use elbow_model::{TargetGroup, TargetGroupSpec};

use super::*;

fn group(name: &str) -> Arc<Group> {
    let spec = TargetGroupSpec {
        name: Some(name.to_owned()),
        protocol: Some("TCP".to_owned()),
        port: Some(80),
        target_type: Some("ip".to_owned()),
        ..TargetGroupSpec::default()
    };
    let config = TargetGroup::new(&spec).value.unwrap();
    Arc::new(Group::new(Arc::new(config), Vec::new(), 1))
}

/// Forwards to the groups `one` and `two`.
fn version(weights: [u32; 2], before: Option<&Forward>) -> Forward {
    let groups = ["one", "two"].map(group).into_iter().zip(weights);
    Forward::new(groups, false, before)
}

// Parity 3.6: existing flows end when the weight is set to 0.
#[test]
fn flows_to_a_group_are_cut_when_its_weight_becomes_0() {
    let before = version([1, 0], None);
    let cut = |weights| before.cut_by(&version(weights, Some(&before))).count();
    assert_eq!([[1, 0], [7, 1], [0, 0], [0, 1]].map(cut), [0, 0, 1, 1]);
    let next = version([0, 1], Some(&before));
    before.cut_by(&next).for_each(|cutoff| cutoff.cut());
    assert!(before.groups[0].cutoff.is_cut());
    assert!(!next.groups[1].cutoff.is_cut());
    // The group gets flows again.
    let last = version([1, 1], Some(&next));
    assert!(!last.groups[0].cutoff.is_cut());
}

#[test]
fn flows_of_older_versions_are_cut_as_well() {
    let first = version([1, 1], None);
    let second = version([2, 1], Some(&first));
    let third = version([0, 1], Some(&second));
    second.cut_by(&third).for_each(|cutoff| cutoff.cut());
    assert!(first.groups[0].cutoff.is_cut());
    assert!(!first.groups[1].cutoff.is_cut());
}

#[test]
fn groups_that_are_left_out_are_not_cut() {
    let before = version([1, 1], None);
    let next = Forward::new([(group("two"), 1)], false, Some(&before));
    assert_eq!(before.cut_by(&next).count(), 0);
}

// NLB guide, listener rules: clients with IPv4 and IPv6 addresses may have different actions.
#[test]
fn clients_with_ipv6_addresses_have_their_own_groups() {
    let of = |ipv4, ipv6, before: Option<&Forwards>| Forwards {
        ipv4: version(ipv4, before.map(|before| &before.ipv4)),
        ipv6: version(ipv6, before.map(|before| &before.ipv6)),
    };
    let before = of([1, 0], [0, 1], None);
    let chosen = |client: &str| {
        let client = client.parse().unwrap();
        let weighted = before.of(client).choose(client, || 0).unwrap();
        weighted.group.config.name.to_string()
    };
    let clients = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"];
    assert_eq!(clients.map(chosen), ["one", "one", "two"]);
    // The group keeps its flows of the other clients.
    let next = of([1, 0], [1, 0], Some(&before));
    before.cut_by(&next).for_each(|cutoff| cutoff.cut());
    assert!(before.ipv6.groups[1].cutoff.is_cut());
    let last = of([0, 1], [1, 0], Some(&next));
    next.cut_by(&last).for_each(|cutoff| cutoff.cut());
    assert!(before.ipv4.groups[0].cutoff.is_cut());
    assert!(!next.ipv6.groups[0].cutoff.is_cut());
}

// Parity 3.7: group stickiness is by source address.
#[test]
fn sticky_clients_have_one_group() {
    let chosen = |sticky: bool, last: u8, random: u64| {
        let groups = ["one", "two"].map(group).into_iter().zip([1, 1]);
        let forward = Forward::new(groups, sticky, None);
        let client = Ipv4Addr::new(10, 0, 0, last).into();
        let weighted = forward.choose(client, || random).unwrap();
        weighted.group.config.name.to_string()
    };
    let groups_of = |sticky, last| -> HashSet<String> {
        (0..16).map(|random| chosen(sticky, last, random)).collect()
    };
    assert_eq!(groups_of(false, 1).len(), 2);
    let sticky = (0..20).map(|last| groups_of(true, last));
    let sticky: Vec<HashSet<String>> = sticky.collect();
    assert!(sticky.iter().all(|groups| groups.len() == 1));
    assert!(sticky.iter().any(|groups| *groups != sticky[0]));
}
