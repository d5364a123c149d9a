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
fn traffic_gets_what_nothing_else_needs() {
    let left = |limit| NEEDS.left_for_traffic(limit);
    // 32 of the process, 8 of two workers, 6 sockets; then a reserve of 64 and one for each target.
    assert_eq!(left(1024), 1024 - 46 - 68);
    assert_eq!(left(1_048_576), 1_048_576 - 46 - 68);
    assert_eq!(left(256), 256 - 46 - 68);
    // The reserve is never more than half of what is free.
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
fn a_client_that_is_let_in_has_a_target_for_sure() {
    let (budget, slots) = slots(9);
    assert_eq!(budget.max_clients(), 4);
    let clients: Vec<Slot> = (0..4).map(|_| slots.client().unwrap()).collect();
    assert_eq!(
        (budget.used(), slots.client().unwrap_err()),
        (8, Full::OpenFiles)
    );
    let targets: Vec<Slot> = (0..4).map(|_| slots.target().unwrap()).collect();
    assert_eq!(budget.used(), 8, "they were promised");
    // A client of HTTP/2 asks for more than one.
    let more = slots.target().unwrap();
    assert_eq!((budget.used(), slots.spare_targets()), (9, 1));
    assert!(slots.target().is_none());
    drop((more, targets));
    assert_eq!((budget.used(), slots.spare_targets()), (8, 0));
    drop(clients);
    assert_eq!(budget.used(), 0);
}

#[test]
fn idle_connections_to_targets_are_counted_and_serve_clients_that_come() {
    let (budget, slots) = slots(8);
    let client = slots.client().unwrap();
    let mut idle: Vec<Slot> = (0..5).map(|_| slots.target().unwrap()).collect();
    assert_eq!(budget.used(), 6);
    drop(client);
    assert_eq!((budget.used(), slots.spare_targets()), (5, 5));
    let clients: Vec<Slot> = (0..3).map(|_| slots.client().unwrap()).collect();
    assert_eq!(budget.used(), 8, "each uses one that is open");
    assert_eq!(slots.client().unwrap_err(), Full::OpenFiles);
    // One that is closed makes room for the client; its own is promised.
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
fn the_number_of_clients_is_limited_by_itself() {
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
    // Who was turned away for want of descriptors counts as no client.
    budget.set_most(100);
    assert!((slots.client().is_ok(), slots.client().is_ok()) == (true, true));
    assert_eq!(budget.max_clients(), 2);
}

#[test]
fn targets_within_the_process_take_two_descriptors() {
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
fn a_pipe_has_two_ends() {
    let (budget, slots) = slots(3);
    let pipe = slots.pipe().unwrap();
    assert_eq!(budget.used(), 2);
    assert!(slots.pipe().is_none());
    drop(pipe);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_budget_is_short_before_it_is_used_up() {
    let (_budget, slots) = slots(64);
    let mut clients: Vec<Slot> = (0..30).map(|_| slots.client().unwrap()).collect();
    assert!(!slots.is_short());
    clients.push(slots.client().unwrap());
    assert!(slots.is_short());
    clients.pop();
    assert!(!slots.is_short());
}

#[test]
fn a_smaller_budget_closes_nothing_and_lets_nobody_in() {
    let (budget, slots) = slots(8);
    let clients: Vec<Slot> = (0..4).map(|_| slots.client().unwrap()).collect();
    budget.set_most(2);
    assert!(slots.is_short());
    assert_eq!(slots.client().unwrap_err(), Full::OpenFiles);
    assert!(slots.target().is_some(), "promised");
    drop(clients);
    assert!(slots.client().is_ok());
}
