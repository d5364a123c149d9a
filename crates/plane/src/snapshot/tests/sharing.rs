//! After a single change, everything else is shared with the previous snapshot.

use std::fs;

use elbow_model::{CertificateSource, PrivateKey};

use super::*;

const MANY: usize = 50;

/// Load balancers `lb-N`, alternately HTTPS and TLS, each with a group `g-N` with one target.
fn many() -> Model {
    let mut text = "loadBalancers:\n".to_owned();
    for n in 0..MANY {
        let (kind, protocol) = match n % 2 {
            0 => ("application", "HTTPS"),
            _ => ("network", "TLS"),
        };
        text += &format!(
            "- {{name: lb-{n}, type: {kind}, addresses: [127.0.8.{n}], listeners: [{{port: 443, protocol: {protocol}, \
             certificates: [shared], defaultActions: [{{type: forward, forwardConfig: {{targetGroups: \
             [{{targetGroup: g-{n}}}]}}}}]}}]}}\n"
        );
    }
    text += "targetGroups:\n";
    for n in 0..MANY {
        let protocol = if n % 2 == 0 { "HTTP" } else { "TCP" };
        text += &format!(
            "- {{name: g-{n}, protocol: {protocol}, port: 80, targetType: ip, targets: [{{id: 127.0.0.1, port: 9}}]}}\n"
        );
    }
    text += "certificates: [{name: shared, certificate: /none, privateKey: /none}]";
    let (model, diagnostics) = elbow_native::parse(&text, "many.yaml");
    model.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

fn issued() -> (String, String) {
    let issued = rcgen::generate_simple_self_signed(vec!["a.example".into()]).unwrap();
    (issued.cert.pem(), issued.signing_key.serialize_pem())
}

/// `model` with another source for its certificate.
fn with_certificate(mut model: Model, source: CertificateSource) -> Arc<Model> {
    let certificate = &mut model.certificates[0];
    Arc::make_mut(certificate).source = source;
    let certificate = Arc::clone(certificate);
    for lb in &mut model.load_balancers {
        lb.replace_certificates(|_| Some(&certificate));
    }
    Arc::new(model)
}

fn pem() -> CertificateSource {
    let (certificate, key) = issued();
    CertificateSource::Pem {
        certificate: certificate.into(),
        private_key: PrivateKey::new(key),
    }
}

/// `model` with one more target in the group called `name`.
fn with_target(model: &Model, name: &str) -> Arc<Model> {
    let mut model = model.clone();
    let group = model.target_groups.iter_mut().find(|g| &*g.name == name);
    let targets = &mut Arc::make_mut(group.unwrap()).targets;
    let mut target = targets[0].clone();
    target.port = 10;
    targets.push(target);
    Arc::new(model)
}

fn changed_names<T>(
    before: &FxHashMap<Arc<str>, Arc<T>>,
    after: &FxHashMap<Arc<str>, Arc<T>>,
) -> Vec<String> {
    let is_other = |(name, value): &(&Arc<str>, &Arc<T>)| {
        !before
            .get(*name)
            .is_some_and(|before| Arc::ptr_eq(before, value))
    };
    let others = after.iter().filter(is_other);
    others.map(|(name, _)| name.to_string()).collect()
}

#[test]
fn changed_group_rebuilds_only_itself_and_its_listener() {
    for (group, lb) in [("g-6", "lb-6"), ("g-7", "lb-7")] {
        let first = next(&with_certificate(many(), pem()), &Snapshot::default());
        let second = next(&with_target(&first.model, group), &first);
        assert_eq!(changed_names(&first.groups, &second.groups), [group]);
        assert_eq!(changed_names(&first.balancers, &second.balancers), [lb]);
        assert!(Arc::ptr_eq(&first.certificates, &second.certificates));
        let mut others = 0;
        for (address, listener) in &second.listeners {
            let before = &first.listeners[address];
            others += usize::from(!Arc::ptr_eq(before, listener));
            // A rebuilt listener keeps its TLS acceptor.
            let [before, after] = [before, listener].map(|l| l.termination.as_ref().unwrap());
            assert!(before.is(after));
        }
        assert_eq!(others, 1);
    }
}

#[test]
fn certificate_is_reloaded_only_when_its_files_change() {
    let dir = std::env::temp_dir().join(format!("elbow-sharing-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("certificate.pem");
    let write = || {
        let (certificate, key) = issued();
        // Replace the file, as certificate rotation does.
        let new = dir.join("new.pem");
        fs::write(&new, certificate + &key).unwrap();
        fs::rename(&new, &file).unwrap();
    };
    write();
    let source = CertificateSource::Files {
        certificate: file.clone(),
        private_key: file.clone(),
    };
    let model = with_certificate(many(), source);
    let first = next(&model, &Snapshot::default());
    let second = next(&model, &first);
    assert!(Arc::ptr_eq(&first.certificates, &second.certificates));
    assert_eq!(changed_names(&first.balancers, &second.balancers).len(), 0);
    write();
    let third = next(&model, &second);
    assert_eq!(
        changed_names(&second.balancers, &third.balancers).len(),
        MANY
    );
    assert_eq!(changed_names(&second.groups, &third.groups).len(), 0);
    fs::remove_file(&file).unwrap();
    // Who has it already keeps its content; for others it is missing.
    let fourth = next(&model, &third);
    assert_eq!(changed_names(&third.balancers, &fourth.balancers).len(), 0);
    assert_eq!(fourth.stale().count(), 1);
    let new = Snapshot::default();
    let rejections = build(&model, &new, &FxHashMap::default()).err().unwrap();
    assert_eq!(rejections[0].load_balancers.len(), MANY);
    write();
    let fifth = next(&model, &fourth);
    assert_eq!(
        changed_names(&fourth.balancers, &fifth.balancers).len(),
        MANY
    );
    assert_eq!(fifth.stale().count(), 0);
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn originator_changes_only_with_the_public_keys() {
    let dir = std::env::temp_dir().join(format!("elbow-public-keys-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join("instance.pem");
    let write = |text: &str| {
        let new = dir.join("new.pem");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &file).unwrap();
    };
    let model = parse(&format!(
        "loadBalancers:
- name: clb
  type: classic
  addresses: [127.0.8.1]
  listeners:
  - {{port: 80, protocol: HTTP, instanceProtocol: HTTPS, instancePort: 443}}
  - {{port: 81, protocol: HTTP, instanceProtocol: HTTPS, instancePort: 444}}
  backendServerAuthentication: {{443: {{publicKeyFiles: [{}]}}}}
",
        file.display()
    ));
    let transport = |snapshot: &Snapshot| {
        let listeners = &snapshot.balancers["clb"].listeners;
        assert!(
            listeners[1].authentication.is_none(),
            "another instance port"
        );
        let authentication = listeners[0].authentication.as_ref();
        authentication.unwrap().originator.transport()
    };
    let failures = build(&model, &Snapshot::default(), &FxHashMap::default()).err();
    let Failure {
        load_balancers,
        cause,
        ..
    } = failures.unwrap().remove(0);
    assert_eq!(load_balancers, ["clb".into()]);
    let Cause::Invalid(diagnostic) = cause else {
        panic!("{cause:?}");
    };
    assert_eq!((diagnostic.code, diagnostic.line), ("bad-public-key", 8));

    let (certificate, _) = issued();
    write(&certificate);
    let first = next(&model, &Snapshot::default());
    let second = next(&model, &first);
    assert!(Arc::ptr_eq(
        &first.balancers["clb"],
        &second.balancers["clb"]
    ));
    // The same key, in a file that was written again.
    write(&format!("# renewed\n{certificate}"));
    let third = next(&model, &second);
    assert_eq!(transport(&third), transport(&first));
    write("no key");
    let fourth = next(&model, &third);
    assert_eq!(transport(&fourth), transport(&first));
    assert_eq!(fourth.stale().count(), 1);
    let (other, _) = issued();
    write(&other);
    let fifth = next(&model, &fourth);
    assert_ne!(transport(&fifth), transport(&first));
    assert_eq!(fifth.stale().count(), 0);
    fs::remove_dir_all(&dir).unwrap();
}
