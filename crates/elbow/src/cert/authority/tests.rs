use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::*;

/// A folder that is not there yet, and goes away with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("elbow-cert-{}-{unique}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn home(&self) -> Home {
        Home::at(&self.0)
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
fn keys_are_their_owners_alone() {
    let folder = Folder::new();
    let authority = folder.home().open().unwrap();
    let leaf = authority.leaf(&["a.example"]).unwrap();
    assert_eq!(mode(&folder.0), 0o700);
    assert_eq!(mode(&folder.0.join("ca.key")), 0o600);
    assert_eq!(mode(&folder.0.join("ca.pem")), 0o644);
    assert_eq!(mode(&leaf.file), 0o600);
    assert!(!authority.pem().contains("PRIVATE KEY"));
}

#[test]
fn whoever_comes_first_makes_the_one_authority() {
    let folder = Folder::new();
    let open = || folder.home().open().unwrap().pem().to_owned();
    let found: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(found.iter().all(|pem| *pem == found[0]));
}

/// A reload or a restart must not change what clients see.
#[test]
fn a_certificate_is_kept() {
    let folder = Folder::new();
    let leaf = |hosts: &[&str]| {
        let leaf = folder.home().open().unwrap().leaf(hosts).unwrap();
        (leaf.file.clone(), fs::read_to_string(leaf.file).unwrap())
    };
    let first = leaf(&["B.example", "a.example"]);
    assert_eq!(leaf(&["a.example", "b.example"]), first);
    assert_ne!(leaf(&["a.example"]).0, first.0);
}

#[test]
fn what_is_damaged_or_of_another_authority_is_issued_again() {
    let folder = Folder::new();
    let hosts = ["a.example"];
    let first = folder.home().open().unwrap().leaf(&hosts).unwrap();
    fs::write(&first.file, "hosts: a.example\n").unwrap();
    let second = folder.home().open().unwrap().leaf(&hosts).unwrap();
    assert!(second.loaded.is_valid_at(now()));

    fs::remove_file(folder.0.join("ca.pem")).unwrap();
    let authority = folder.home().open().unwrap();
    let third = authority.leaf(&hosts).unwrap();
    assert_eq!(third.loaded.issuer(), authority.loaded().issuer());
    assert_ne!(third.loaded.issuer(), second.loaded.issuer());
}

#[test]
fn renewal_changes_every_certificate() {
    let folder = Folder::new();
    let authority = folder.home().open().unwrap();
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

/// While it is served, what is due is issued again and the rest is left alone.
#[test]
fn what_is_not_due_is_not_renewed() {
    let folder = Folder::new();
    let file = folder.home().open().unwrap().leaf(&["a"]).unwrap().file;
    let text = fs::read_to_string(&file).unwrap();
    folder.home().open().unwrap().renew(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);

    fs::remove_file(folder.0.join("ca.pem")).unwrap();
    folder.home().open().unwrap().renew(&file).unwrap();
    assert_ne!(fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn names_and_life_are_what_browsers_take() {
    let folder = Folder::new();
    let authority = folder.home().open().unwrap();
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
fn a_certificate_is_due_when_a_third_of_its_life_is_left() {
    let folder = Folder::new();
    let loaded = folder.home().open().unwrap().leaf(&["a"]).unwrap().loaded;
    let third = (loaded.not_after() - loaded.not_before()) / 3;
    assert!(!is_due(&loaded, loaded.not_after() - third));
    assert!(is_due(&loaded, loaded.not_after() - third + 1));
}

#[test]
fn a_copy_is_a_certificate_and_a_key() {
    let folder = Folder::new();
    let leaf = folder
        .home()
        .open()
        .unwrap()
        .leaf(&["*.a.example"])
        .unwrap();
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

/// Whoever looks at what a model would need makes nothing.
#[test]
fn a_model_gets_what_it_asks_for() {
    let text = "
loadBalancers:
- name: a
  type: network
  listeners:
  - {port: 443, protocol: TLS, certificates: [own], defaultActions: [{type: forward, forwardConfig: {targetGroups: [{targetGroup: g}]}}]}
targetGroups: [{name: g, protocol: TCP, port: 1}]
certificates: [{name: own, selfSigned: [a.example]}]
";
    let model = elbow_model::file::parse(text, "a.yaml").0.unwrap();
    let folder = Folder::new();
    let resolved = folder.home().resolve(model).unwrap();
    assert_eq!(elbow_plane::check(&resolved), []);
    let listener = &resolved.load_balancers[0].listeners[0];
    assert_eq!(listener.certificates, resolved.certificates);
    let CertificateSource::Files { certificate, .. } = &resolved.certificates[0].source else {
        panic!("{resolved:?}");
    };
    assert!(certificate.starts_with(folder.home().leaves()));
}
