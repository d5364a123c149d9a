use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

/// The path of a folder that does not exist yet; dropping removes the folder.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("elbow-cert-{}-{unique}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn open(&self) -> Authority {
        Authority::open(&Home::at(&self.0)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_the_owner_can_read_keys() {
    let folder = Folder::new();
    let authority = folder.open();
    let leaf = authority.leaf(&["a.example"]).unwrap();
    assert_eq!(mode(&folder.0), 0o700);
    assert_eq!(mode(&folder.0.join("ca.key")), 0o600);
    assert_eq!(mode(&folder.0.join("ca.pem")), 0o644);
    assert_eq!(mode(&leaf.file), 0o600);
    assert!(!authority.pem().contains("PRIVATE KEY"));
}

#[test]
fn concurrent_first_uses_create_one_authority() {
    let folder = Folder::new();
    let open = || folder.open().pem().to_owned();
    let found: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(found.iter().all(|pem| *pem == found[0]));
}

/// A reload or a restart must not change the certificate that clients see.
#[test]
fn certificate_is_reused() {
    let folder = Folder::new();
    let leaf = |hosts: &[&str]| {
        let leaf = folder.open().leaf(hosts).unwrap();
        (leaf.file.clone(), fs::read_to_string(leaf.file).unwrap())
    };
    let first = leaf(&["B.example", "a.example"]);
    assert_eq!(leaf(&["a.example", "b.example"]), first);
    assert_ne!(leaf(&["a.example"]).0, first.0);
}

#[test]
fn damaged_or_foreign_certificate_is_issued_again() {
    let folder = Folder::new();
    let hosts = ["a.example"];
    let first = folder.open().leaf(&hosts).unwrap();
    fs::write(&first.file, "hosts: a.example\n").unwrap();
    let second = folder.open().leaf(&hosts).unwrap();
    assert!(second.loaded.is_valid_at(now()));

    fs::remove_file(folder.0.join("ca.pem")).unwrap();
    let authority = folder.open();
    let third = authority.leaf(&hosts).unwrap();
    assert_eq!(third.loaded.issuer(), authority.loaded().issuer());
    assert_ne!(third.loaded.issuer(), second.loaded.issuer());
}

#[test]
fn renew_all_replaces_every_certificate() {
    let folder = Folder::new();
    let authority = folder.open();
    let texts = || {
        let leaves = authority.leaves().unwrap();
        let text = |leaf: Leaf| (leaf.hosts, fs::read_to_string(leaf.file).unwrap());
        leaves.into_iter().map(text).collect::<Vec<_>>()
    };
    authority.leaf(&["a.example"]).unwrap();
    authority.leaf(&["*.b.example", "10.0.0.1"]).unwrap();
    let before = texts();
    assert_eq!(authority.renew_all().unwrap().len(), 2);
    let after = texts();
    assert_eq!(before.len(), 2);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!(old.0, new.0);
        assert_ne!(old.1, new.1);
    }
}

#[test]
fn renew_issues_only_certificates_that_are_due() {
    let folder = Folder::new();
    let file = folder.open().leaf(&["a"]).unwrap().file;
    let text = fs::read_to_string(&file).unwrap();
    folder.open().renew(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    fs::remove_file(folder.0.join("ca.pem")).unwrap();
    folder.open().renew(&file).unwrap();
    assert_ne!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn names_and_lifetime_are_accepted_by_browsers() {
    let folder = Folder::new();
    let authority = folder.open();
    let leaf = authority
        .leaf(&["*.b.example", "a.example", "::1"])
        .unwrap();
    let loaded = &leaf.loaded;
    assert_eq!(loaded.names(), ["*.b.example".into(), "a.example".into()]);
    assert_eq!(loaded.key_type(), elbow_tls::KeyType::Ecdsa);
    assert_eq!(loaded.key_bits(), 256);
    let day = 24 * 60 * 60;
    assert!(loaded.not_after() - loaded.not_before() <= 397 * day);
    assert!(loaded.is_valid_at(now() - 1800) && loaded.is_valid_at(now() + 389 * day));
    assert!(authority.loaded().is_valid_at(now() + 3649 * day));
}

#[test]
fn certificate_is_due_when_a_third_of_its_lifetime_is_left() {
    let folder = Folder::new();
    let loaded = folder.open().leaf(&["a"]).unwrap().loaded;
    let third = (loaded.not_after() - loaded.not_before()) / 3;
    assert!(!is_due(&loaded, loaded.not_after() - third));
    assert!(is_due(&loaded, loaded.not_after() - third + 1));
}

#[test]
fn copy_has_certificate_and_key_in_two_files() {
    let folder = Folder::new();
    let leaf = folder.open().leaf(&["*.a.example"]).unwrap();
    let out = folder.0.join("out");
    let written = leaf.copy_to(&out).unwrap();
    let (certificate, key) = (out.join("_.a.example.pem"), out.join("_.a.example.key"));
    let expected = format!("{}\n{}", certificate.display(), key.display());
    assert_eq!(written, expected);
    assert_eq!((mode(&certificate), mode(&key)), (0o644, 0o600));
    assert!(!fs::read_to_string(&certificate).unwrap().contains("KEY"));
    assert_eq!(
        load(&certificate, &key).unwrap().names(),
        ["*.a.example".into()]
    );
}
