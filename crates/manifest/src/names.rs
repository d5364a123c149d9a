//! The names that the controllers give to what they make: readable, and told apart by a hash.

use sha2::{Digest, Sha256};

/// The hash over the pieces, written one after another: the first ten hexadecimal digits.
pub fn short_hash(pieces: &[&str]) -> String {
    hex_hash(pieces).chars().take(10).collect()
}

fn hex_hash(pieces: &[&str]) -> String {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update(piece.as_bytes());
    }
    let digit = |byte: &u8| format!("{byte:02x}");
    hash.finalize().iter().map(digit).collect()
}

/// The letters and digits of `text`, at most `length` of them.
fn plain(text: &str, length: usize) -> String {
    text.chars()
        .filter(char::is_ascii_alphanumeric)
        .take(length)
        .collect()
}

/// `k8s-{namespace}-{name}-{hash}`: of an NLB, of the ALB of a lone Ingress, of target groups.
///
/// ```
/// use elbow_manifest::names::namespaced;
///
/// let name = namespaced("ns-1", "ing-1", &["cluster", "ns-1/ing-1", "internal"]);
/// assert!(name.starts_with("k8s-ns1-ing1-"));
/// ```
pub fn namespaced(namespace: &str, name: &str, hashed: &[&str]) -> String {
    let (namespace, name) = (plain(namespace, 8), plain(name, 8));
    format!("k8s-{namespace}-{name}-{}", short_hash(hashed))
}

/// `k8s-{group}-{hash}`: of what an IngressGroup with a name shares.
pub fn grouped(group: &str, hashed: &[&str]) -> String {
    format!("k8s-{}-{}", plain(group, 17), short_hash(hashed))
}

/// The name that the in-tree provider gives: `a` and the UID without dashes, at most 32 letters.
pub fn classic(uid: &str) -> String {
    let digits = uid.chars().filter(|&letter| letter != '-');
    std::iter::once('a').chain(digits).take(32).collect()
}

/// The UID of an object that was never in a cluster, so that its names stay the same: made of its
/// kind, namespace and name.
pub fn uid(kind: &str, namespace: &str, name: &str) -> String {
    let hash = hex_hash(&[kind, "/", namespace, "/", name]);
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let part = |(from, to): (usize, usize)| hash.get(from..to).unwrap_or_default().to_owned();
    parts.map(part).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// control-plane.md 0.3.
    #[test]
    fn names_follow_the_formulas() {
        assert_eq!(
            classic("d824df76-48d7-4e20-9bb9-60970b55be53"),
            "ad824df7648d74e209bb960970b55be5"
        );
        let name = grouped("my.group-name-that-is-long", &["c"]);
        assert!(name.starts_with("k8s-mygroupnamethatis-"), "{name}");
        assert_eq!(name.len(), 32);
        assert_eq!(uid("Service", "a", "b").len(), 36);
    }
}
