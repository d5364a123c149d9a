use std::sync::Arc;

use super::{Budget, Full, Needs, Slot, Slots};

const NEEDS: Needs = Needs {
    workers: 2,
    listening: 6,
    targets: 4,
};

fn slots(most: u64) -> (Arc<Budget>, std::rc::Rc<Slots>) {
    let budget = Budget::unlimited();
    budget.set_most(most);
    let slots = Slots::new(Arc::clone(&budget));
    (budget, slots)
}

#[test]
fn traffic_gets_the_rest_of_the_limit() {
    let left = |limit| NEEDS.left_for_traffic(limit);
    // Process 32, two workers 8, sockets 6; then a reserve of 64 and one for each target.
    assert_eq!(left(1024), 1024 - 46 - 68);
    assert_eq!(left(1_048_576), 1_048_576 - 46 - 68);
    assert_eq!(left(256), 256 - 46 - 68);
    // The reserve is at most half of the free descriptors.
    assert_eq!(left(46 + 100), 50);
    assert_eq!(left(47), 1);
    for none in [46, 10, 0] {
        assert_eq!(left(none), 0);
    }
    let many = Needs {
        workers: u64::MAX,
        listening: u64::MAX,
        targets: u64::MAX,
    };
    assert_eq!(many.left_for_traffic(1024), 0);
}

#[test]
fn admitted_client_always_gets_a_target_connection() {
    let (budget, slots) = slots(9);
    assert_eq!(budget.max_clients(), 4);
    let clients: Vec<Slot> = (0..4).map(|_| slots.client().unwrap()).collect();
    assert_eq!(
        (budget.used(), slots.client().unwrap_err()),
        (8, Full::OpenFiles)
    );
    let targets: Vec<Slot> = (0..4).map(|_| slots.target().unwrap()).collect();
    assert_eq!(budget.used(), 8, "they were reserved");
    // An HTTP/2 client uses more than one.
    let more = slots.target().unwrap();
    assert_eq!((budget.used(), slots.spare_targets()), (9, 1));
    assert!(slots.target().is_none());
    drop((more, targets));
    assert_eq!((budget.used(), slots.spare_targets()), (8, 0));
    drop(clients);
    assert_eq!(budget.used(), 0);
}

#[test]
fn idle_target_connections_count_and_serve_new_clients() {
    let (budget, slots) = slots(8);
    let client = slots.client().unwrap();
    let mut idle: Vec<Slot> = (0..5).map(|_| slots.target().unwrap()).collect();
    assert_eq!(budget.used(), 6);
    drop(client);
    assert_eq!((budget.used(), slots.spare_targets()), (5, 5));
    let clients: Vec<Slot> = (0..3).map(|_| slots.client().unwrap()).collect();
    assert_eq!(budget.used(), 8, "each uses an open one");
    assert_eq!(slots.client().unwrap_err(), Full::OpenFiles);
    // Closing one frees descriptors for the client; its target connection is reserved.
    idle.pop();
    assert_eq!(slots.client().map(drop), Ok(()));
    drop((idle, clients));
    assert_eq!(budget.used(), 0);
}

#[test]
fn workers_share_a_budget() {
    let (budget, one) = slots(4);
    let two = Slots::new(Arc::clone(&budget));
    let first = one.client().unwrap();
    let second = two.client().unwrap();
    assert_eq!(two.client().unwrap_err(), Full::OpenFiles);
    drop(first);
    let third = two.client().unwrap();
    assert_eq!(one.client().unwrap_err(), Full::OpenFiles);
    drop((second, third));
    assert_eq!(budget.used(), 0);
}

#[test]
fn client_limit_applies_on_its_own() {
    let budget = Budget::new(Some(2), 1);
    let slots = Slots::new(Arc::clone(&budget));
    let (one, two) = (slots.client().unwrap(), slots.client().unwrap());
    assert_eq!(slots.client().unwrap_err(), Full::Clients);
    drop(one);
    let three = slots.client().unwrap();
    drop((two, three));
    budget.set_most(2);
    let one = slots.client().unwrap();
    assert_eq!(slots.client().unwrap_err(), Full::OpenFiles);
    drop(one);
    // A client refused for lack of descriptors does not count.
    budget.set_most(100);
    assert!((slots.client().is_ok(), slots.client().is_ok()) == (true, true));
    assert_eq!(budget.max_clients(), 2);
}

#[test]
fn in_process_targets_take_two_descriptors() {
    let budget = Budget::new(None, 2);
    budget.set_most(6);
    let slots = Slots::new(Arc::clone(&budget));
    assert_eq!(budget.max_clients(), 2);
    let clients = [slots.client().unwrap(), slots.client().unwrap()];
    assert_eq!(
        (budget.used(), slots.client().unwrap_err()),
        (6, Full::OpenFiles)
    );
    drop(clients);
    assert_eq!(budget.used(), 0);
}

#[test]
fn pipe_takes_two_descriptors() {
    let (budget, slots) = slots(3);
    let pipe = slots.pipe().unwrap();
    assert_eq!(budget.used(), 2);
    assert!(slots.pipe().is_none());
    drop(pipe);
    assert_eq!(budget.used(), 0);
}

#[test]
fn budget_is_short_before_it_is_exhausted() {
    let (_budget, slots) = slots(64);
    let mut clients: Vec<Slot> = (0..30).map(|_| slots.client().unwrap()).collect();
    assert!(!slots.is_short());
    clients.push(slots.client().unwrap());
    assert!(slots.is_short());
    clients.pop();
    assert!(!slots.is_short());
}

#[test]
fn reduced_budget_closes_nothing_and_admits_nobody() {
    let (budget, slots) = slots(8);
    let clients: Vec<Slot> = (0..4).map(|_| slots.client().unwrap()).collect();
    budget.set_most(2);
    assert!(slots.is_short());
    assert_eq!(slots.client().unwrap_err(), Full::OpenFiles);
    assert!(slots.target().is_some(), "reserved");
    drop(clients);
    assert!(slots.client().is_ok());
}

#[test]
fn flows_get_at_most_half_of_the_descriptors() {
    let (budget, slots) = slots(9);
    let flows: Vec<Slot> = (0..4).map(|_| slots.flow().unwrap()).collect();
    assert_eq!((budget.used(), slots.flow().unwrap_err()), (4, Full::Flows));
    let clients: Vec<Slot> = (0..2).map(|_| slots.client().unwrap()).collect();
    assert_eq!(budget.used(), 8, "clients get the other half");
    drop(flows);
    assert_eq!(budget.used(), 4);
    let more: Vec<Slot> = (0..2).map(|_| slots.client().unwrap()).collect();
    let _last = slots.flow().unwrap();
    assert_eq!(slots.flow().unwrap_err(), Full::OpenFiles);
    drop((clients, more));
    drop((slots.flow().unwrap(), slots.client().unwrap()));
}

#[test]
fn flows_count_as_clients() {
    let budget = Budget::new(Some(2), 1);
    let slots = Slots::new(Arc::clone(&budget));
    let (flow, _client) = (slots.flow().unwrap(), slots.client().unwrap());
    assert_eq!(slots.flow().unwrap_err(), Full::Clients);
    drop(flow);
    assert_eq!(slots.flow().map(drop), Ok(()));
}
