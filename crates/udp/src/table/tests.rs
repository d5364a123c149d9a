use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Table;

fn table(capacity: usize, flows: &[(char, u64)]) -> Table<char, u32> {
    let mut table = Table::new(capacity);
    for (number, (key, now)) in (0..).zip(flows) {
        table.insert(*key, number, *now);
    }
    table
}

fn order(table: &mut Table<char, u32>) -> String {
    std::iter::from_fn(|| Some(table.remove_oldest()?.0)).collect()
}

#[test]
fn flow_is_found_until_removed() {
    let mut table = table(9, &[('a', 1), ('b', 1)]);
    let b = table.find(&'b').unwrap();
    assert_eq!(table.get(b), Some((&'b', &1)));
    assert_eq!(table.remove(b), Some(('b', 1)));
    assert_eq!((table.find(&'b'), table.get(b)), (None, None));
    assert_eq!(table.remove(b), None);
    assert_eq!(table.len(), 1);
}

// Parity 3.3: 120 s, fixed.
#[test]
fn flow_is_idle_after_the_timeout_and_activity_postpones_it() {
    let mut table = table(9, &[('a', 0), ('b', 10)]);
    assert_eq!(table.next_deadline(1200), Some(1200));
    assert_eq!(table.remove_idle(1199, 1200), None);
    let a = table.find(&'a').unwrap();
    table.touch(a, 700);
    assert_eq!(table.next_deadline(1200), Some(1210));
    assert_eq!(table.remove_idle(1210, 1200), Some(('b', 1)));
    assert_eq!(table.remove_idle(1899, 1200), None);
    assert_eq!(table.remove_idle(5000, 1200), Some(('a', 0)));
    assert_eq!(
        (table.remove_idle(5000, 1200), table.next_deadline(1200)),
        (None, None)
    );
}

#[test]
fn full_table_gives_up_the_flow_that_is_quiet_for_longest() {
    let mut table = table(3, &[('a', 1), ('b', 2), ('c', 3)]);
    assert!(table.is_full());
    let a = table.find(&'a').unwrap();
    table.touch(a, 4);
    let (_, removed) = table.insert('d', 9, 4);
    assert_eq!((removed, table.len()), (Some(('b', 1)), 3));
    assert_eq!(order(&mut table), "cad");
}

#[test]
fn same_key_replaces_its_flow_alone() {
    let mut table = table(2, &[('a', 1), ('b', 1)]);
    let (_, removed) = table.insert('b', 7, 2);
    assert_eq!(removed, Some(('b', 1)));
    assert_eq!(order(&mut table), "ab");
}

#[test]
fn flows_end_by_a_condition_wherever_they_are_in_the_list() {
    let mut table = table(9, &[('a', 1), ('b', 1), ('c', 2), ('d', 3), ('e', 3)]);
    let mut ended = String::new();
    table.remove_if(
        |_, number| [0, 2, 4].contains(number),
        |key, _| ended.push(key),
    );
    assert_eq!(ended, "ace");
    assert_eq!(order(&mut table), "bd");
}

#[test]
fn memory_of_a_flood_is_freed() {
    let mut table = Table::new(100_000);
    for key in 0..50_000 {
        table.insert(key, [0_u64; 8], 1);
    }
    while table.remove_oldest().is_some() {}
    assert!(table.entries.capacity() + table.index.capacity() < 1024);
}

/// What is done to a table.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Touch(u8),
    Remove(u8),
    RemoveIdle(u64),
    RemoveIf(u8),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Insert),
        4 => any::<u8>().prop_map(Step::Touch),
        1 => any::<u8>().prop_map(Step::Remove),
        1 => (0..20_u64).prop_map(Step::RemoveIdle),
        1 => any::<u8>().prop_map(Step::RemoveIf),
        2 => (0..5_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    // The model: the time of each flow's last datagram.
    #[test]
    fn table_agrees_with_a_plain_map(steps in proptest::collection::vec(step(), 0..200), capacity in 1..12_usize) {
        let mut table = Table::new(capacity);
        let mut model: BTreeMap<u8, u64> = BTreeMap::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Wait(time) => now += time,
                Step::Insert(key) => {
                    let key = key % 20;
                    let (_, removed) = table.insert(key, key, now);
                    if model.remove(&key).is_some() {
                        prop_assert_eq!(removed, Some((key, key)));
                    } else if model.len() == capacity {
                        let quiet = *model.values().min().unwrap();
                        let (gone, _) = removed.unwrap();
                        prop_assert_eq!(model.remove(&gone), Some(quiet));
                    } else {
                        prop_assert_eq!(removed, None);
                    }
                    model.insert(key, now);
                }
                Step::Touch(key) => {
                    let key = key % 20;
                    prop_assert_eq!(table.find(&key).is_some(), model.contains_key(&key));
                    if let Some(id) = table.find(&key) {
                        table.touch(id, now);
                        model.insert(key, now);
                    }
                }
                Step::Remove(key) => {
                    let key = key % 20;
                    let removed = table.find(&key).and_then(|id| table.remove(id));
                    prop_assert_eq!(removed.is_some(), model.remove(&key).is_some());
                }
                Step::RemoveIdle(timeout) => {
                    while let Some((key, _)) = table.remove_idle(now, timeout) {
                        let active = model.remove(&key).unwrap();
                        prop_assert!(active + timeout <= now);
                    }
                    prop_assert!(model.values().all(|active| active + timeout > now));
                }
                Step::RemoveIf(divisor) => {
                    let ends = |key: u8| key.is_multiple_of(divisor % 7 + 1);
                    let mut ended = Vec::new();
                    table.remove_if(|key, _| ends(*key), |key, _| ended.push(key));
                    let before = model.len();
                    model.retain(|key, _| !ends(*key));
                    prop_assert_eq!(ended.len(), before - model.len());
                }
            }
            prop_assert_eq!(table.len(), model.len());
            prop_assert_eq!(table.next_deadline(0), model.values().min().copied());
        }
    }
}
