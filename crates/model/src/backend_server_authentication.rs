//! Authentication of instances of a Classic load balancer by their public keys (CLB guide: HTTPS load balancers).

use std::collections::BTreeMap;

use crate::instance_end::{InstanceEnd, instance_port};
use crate::invalid::Place;
use crate::public_key_file::PublicKeyFile;
use crate::spec::BackendServerAuthenticationSpec;

/// The public keys on one instance port: an instance must have one of them (`BackendServerAuthenticationPolicyType`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BackendServerAuthentication {
    /// At least one, in the order of the input.
    pub public_keys: Vec<PublicKeyFile>,
}

impl BackendServerAuthentication {
    /// The policies by instance port. Nothing is read: files may be missing or invalid.
    pub(crate) fn build_all(
        given: &BTreeMap<String, BackendServerAuthenticationSpec>,
        ends: &[InstanceEnd],
        at: &Place<'_>,
    ) -> BTreeMap<u16, Self> {
        let policies = given.iter().filter_map(|(key, spec)| {
            let at = at.key(key);
            let port = instance_port(key, ends, &at)?;
            // Listeners of one instance port all use TLS there, or none does.
            let end = ends.iter().find(|end| end.port == port)?;
            if !end.protocol.is_tls() {
                at.wrong_name(
                    "invalid-combination",
                    format!(
                        "listeners speak {} to instance port {port}, so that instances show no public key",
                        end.protocol.as_str()
                    ),
                    Some("set instanceProtocol: HTTPS or SSL on its listeners".to_owned()),
                );
            }
            Some((port, Self::build(spec, &at)?))
        });
        policies.collect()
    }

    fn build(spec: &BackendServerAuthenticationSpec, at: &Place<'_>) -> Option<Self> {
        let Some(files) = &spec.public_key_files else {
            at.missing("publicKeyFiles");
            return None;
        };
        let at = at.field("publicKeyFiles");
        if files.is_empty() {
            at.error_with(
                "missing-field",
                "the list of public keys is empty",
                "name a file, or leave out the instance port: then its instances are not authenticated".to_owned(),
            );
        }
        for (index, key) in files.iter().enumerate() {
            if key.file.as_os_str().is_empty() {
                let at = at.index(index);
                at.error("missing-field", "the name of the file is empty");
            }
        }
        Some(Self {
            public_keys: files.clone(),
        })
    }
}
