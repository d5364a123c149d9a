//! The names that the controllers generate: readable, and unique by a hash.

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The first ten hexadecimal digits of the SHA-256 of the joined pieces.
pub fn short_hash(pieces: &[&str]) -> String {
    hex_hash::<Sha256>(pieces).chars().take(10).collect()
}

fn hex_hash<H: Digest>(pieces: &[&str]) -> String {
    let mut hash = H::new();
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

/// `k8s-{namespace}-{name}-{hash}`: the name of an NLB, of the ALB of a single Ingress, and of target groups.
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

/// [`namespaced`] with a SHA-1: the name of a target group of the cloud provider.
pub fn provider_group(namespace: &str, name: &str, hashed: &[&str]) -> String {
    let (namespace, name) = (plain(namespace, 8), plain(name, 8));
    let hash = hex_hash::<Sha1>(hashed);
    format!(
        "k8s-{namespace}-{name}-{}",
        hash.get(..10).unwrap_or_default()
    )
}

/// `k8s-{group}-{hash}`: the name of the shared resources of an explicit IngressGroup.
pub fn grouped(group: &str, hashed: &[&str]) -> String {
    format!("k8s-{}-{}", plain(group, 17), short_hash(hashed))
}

/// `k8s-{namespace}-{name}-{hash}-nlb`: the name of the NLB in front of an ALB whose own name is empty.
pub fn frontend(namespace: &str, name: &str, hashed: &[&str]) -> String {
    let (namespace, name) = (plain(namespace, 8), plain(name, 8));
    let hash: String = short_hash(hashed).chars().take(6).collect();
    format!("k8s-{namespace}-{name}-{hash}-nlb")
}

/// [`frontend`] of an explicit IngressGroup: `k8s-{group}-{hash}-nlb`.
pub fn frontend_of_group(group: &str, hashed: &[&str]) -> String {
    let hash: String = short_hash(hashed).chars().take(8).collect();
    format!("k8s-{}-{hash}-nlb", plain(group, 16))
}

/// The name that the in-tree provider generates: `a` and the UID without dashes, at most 32 characters.
pub fn classic(uid: &str) -> String {
    let digits = uid.chars().filter(|&letter| letter != '-');
    std::iter::once('a').chain(digits).take(32).collect()
}

/// The UID of an object that was never in a cluster, made from its kind, namespace and name so that generated names stay
/// the same.
pub fn uid(kind: &str, namespace: &str, name: &str) -> String {
    let hash = hex_hash::<Sha256>(&[kind, "/", namespace, "/", name]);
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
