use std::collections::HashMap;
use std::sync::Arc;

/// The differences between two lists of shared values, see [`changed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<'a, T> {
    /// Values whose name is not in the new list.
    pub gone: Vec<&'a Arc<T>>,
    /// Values that are new or differ: the old one, if any, and the new one.
    pub set: Vec<(Option<&'a Arc<T>>, &'a Arc<T>)>,
}

/// Compares two lists of values with unique names. A value that both share costs one comparison of pointers.
///
/// ```
/// use std::sync::Arc;
///
/// let [a, b, c] = ["a", "b", "c"].map(|name| Arc::new(name.to_owned()));
/// let (old, new) = ([a.clone(), b.clone()], [a, c.clone()]);
/// let changed = elbow_model::changed(&old, &new, |name| name);
/// assert_eq!((changed.gone, changed.set), (vec![&b], vec![(None, &c)]));
/// ```
pub fn changed<'a, T: PartialEq>(
    old: &'a [Arc<T>],
    new: &'a [Arc<T>],
    name: impl Fn(&T) -> &str,
) -> Changed<'a, T> {
    // Usually one value among thousands differs.
    let same = |(old, new): &(&Arc<T>, &Arc<T>)| Arc::ptr_eq(old, new);
    let start = old.iter().zip(new).take_while(same).count();
    let (old, new) = (
        old.get(start..).unwrap_or_default(),
        new.get(start..).unwrap_or_default(),
    );
    let end = old.iter().rev().zip(new.iter().rev());
    let end = end.take_while(same).count();
    let (old, _) = old.split_at(old.len() - end);
    let (new, _) = new.split_at(new.len() - end);

    let mut left: HashMap<&str, &Arc<T>> = old.iter().map(|part| (name(part), part)).collect();
    let set = new.iter().filter_map(|part| match left.remove(name(part)) {
        Some(before) if Arc::ptr_eq(before, part) || before == part => None,
        before => Some((before, part)),
    });
    let set = set.collect();
    let is_gone = |part: &&Arc<T>| left.contains_key(name(part));
    Changed {
        gone: old.iter().filter(is_gone).collect(),
        set,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Part(String, u8);

    proptest! {
        #[test]
        fn changes_lead_from_the_old_list_to_the_new(
            old in prop::collection::btree_map("[a-f]", 0_u8..3, 0..6),
            new in prop::collection::btree_map("[a-f]", 0_u8..3, 0..6),
            turn in 0_usize..6,
        ) {
            let of = |parts: &std::collections::BTreeMap<String, u8>| -> Vec<Arc<Part>> {
                parts.iter().map(|(name, n)| Arc::new(Part(name.clone(), *n))).collect()
            };
            let old = of(&old);
            let mut new = of(&new);
            // Half of the equal values are shared.
            for part in new.iter_mut().step_by(2) {
                if let Some(shared) = old.iter().find(|o| *o == part) {
                    *part = Arc::clone(shared);
                }
            }
            let middle = turn.min(new.len());
            new.rotate_left(middle);
            let changed = changed(&old, &new, |part| &part.0);
            for part in &old {
                let now = new.iter().find(|n| n.0 == part.0);
                prop_assert_eq!(changed.gone.contains(&part), now.is_none());
            }
            for part in &new {
                let before = old.iter().find(|o| o.0 == part.0);
                let reported = changed.set.iter().find(|(_, now)| *now == part);
                prop_assert_eq!(reported.is_some(), before != Some(part));
                if let Some((reported, _)) = reported {
                    prop_assert_eq!(*reported, before);
                }
            }
        }
    }
}
