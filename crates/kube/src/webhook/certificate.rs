//! The webhook's certificate: made here, kept in a Secret that all replicas share, renewed in time, and told to API servers by
//! the `caBundle` of the MutatingWebhookConfiguration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Uri;
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::sync::watch;
use tracing::{info, warn};
use x509_parser::extensions::GeneralName;

use super::Options;
use crate::FIELD_MANAGER;

/// How long a certificate holds.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// What is left of it when it is renewed.
const RENEWAL: Duration = Duration::from_secs(120 * 24 * 3600);
/// It holds from a while ago, for API servers whose clock is behind.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);
/// Between looks at the Secret and the configuration.
const CHECK: Duration = Duration::from_secs(60);
/// The same while there is no certificate that API servers know.
const RETRY: Duration = Duration::from_secs(5);

/// The certificate and its key, as in a Secret of type `kubernetes.io/tls`; the bundle is what API servers are told to trust: the
/// certificate, and the one before it as long as a replica may still have that.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const BUNDLE: &str = "ca.crt";

/// Keeps a certificate for the webhook.
pub struct Certificates {
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    options: Options,
}

/// Why there is no certificate that API servers know.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(
        "MutatingWebhookConfiguration {0} is not there or sends pods nowhere: apply config/kube-webhook, or the chart with webhook.enabled=true"
    )]
    NoConfiguration(String),
    #[error("{what}: {error}")]
    Refused {
        what: String,
        error: Box<kube::Error>,
    },
    #[error("Secret {0}: {1}")]
    Unusable(String, String),
}

impl Certificates {
    /// Of a cluster.
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), &options.namespace),
            configurations: Api::all(client),
            options,
        }
    }

    /// Sees to it for ever that there is a certificate, that API servers know it, and that `offer` has it.
    pub(super) async fn keep(self, offer: watch::Sender<Option<Arc<ServerConfig>>>) {
        let mut serves = None;
        let mut told = String::new();
        loop {
            let again = match self.look(&offer, &mut serves).await {
                Ok(()) => {
                    told.clear();
                    CHECK
                }
                Err(trouble) => {
                    let text = trouble.to_string();
                    if text != told {
                        warn!("webhook: {text}");
                        told = text;
                    }
                    RETRY
                }
            };
            tokio::time::sleep(again).await;
        }
    }

    async fn look(
        &self,
        offer: &watch::Sender<Option<Arc<ServerConfig>>>,
        serves: &mut Option<BTreeMap<String, ByteString>>,
    ) -> Result<(), Trouble> {
        let configuration = self.configuration().await?;
        let names = names(&configuration);
        if names.is_empty() {
            return Err(Trouble::NoConfiguration(self.options.configuration.clone()));
        }
        let data = self.secret(&names).await?;
        if serves.as_ref() != Some(&data) {
            let unusable = |what: String| Trouble::Unusable(self.secret_name(), what);
            let config = Arc::new(server_config(&data).map_err(unusable)?);
            offer.send_replace(Some(config));
            info!(names = names.join(", "), "webhook: pods are asked about");
            *serves = Some(data.clone());
        }
        self.tell(&configuration, &data).await
    }

    async fn configuration(&self) -> Result<MutatingWebhookConfiguration, Trouble> {
        let name = &self.options.configuration;
        let found = self.configurations.get_opt(name).await;
        let found = found
            .map_err(|error| refused(format!("get MutatingWebhookConfiguration {name}"), error))?;
        found.ok_or_else(|| Trouble::NoConfiguration(name.clone()))
    }

    fn secret_name(&self) -> String {
        format!("{}/{}", self.options.namespace, self.options.secret)
    }

    /// What the Secret holds; made or renewed first if need be. Of several replicas that do so at once one wins, and the others
    /// take what it made.
    async fn secret(&self, names: &[String]) -> Result<BTreeMap<String, ByteString>, Trouble> {
        let name = &self.options.secret;
        let what = |verb: &str| format!("{verb} Secret {}", self.secret_name());
        let read = || async {
            self.secrets
                .get_opt(name)
                .await
                .map_err(|error| refused(what("get"), error))
        };
        let found = read().await?;
        let data = found
            .as_ref()
            .and_then(|secret| secret.data.clone())
            .unwrap_or_default();
        if holds(&data, names) {
            return Ok(data);
        }
        let made = make(names, data.get(CERTIFICATE))
            .map_err(|what| Trouble::Unusable(self.secret_name(), what))?;
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match found {
            Some(mut secret) => {
                secret.data = Some(made.clone());
                // It carries the version that was read: what another replica wrote meanwhile is not lost.
                self.secrets.replace(name, &parameters, &secret).await
            }
            None => {
                let mut secret = Secret {
                    data: Some(made.clone()),
                    type_: Some("kubernetes.io/tls".to_owned()),
                    ..Secret::default()
                };
                secret.metadata.name = Some(name.clone());
                self.secrets.create(&parameters, &secret).await
            }
        };
        match written {
            Ok(_) => Ok(made),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let data = read()
                    .await?
                    .and_then(|secret| secret.data)
                    .unwrap_or_default();
                if holds(&data, names) {
                    Ok(data)
                } else {
                    Err(Trouble::Unusable(
                        self.secret_name(),
                        "another writes to it".to_owned(),
                    ))
                }
            }
            Err(error) => Err(refused(what("write"), error)),
        }
    }

    /// Writes the bundle into the configuration, where it is another.
    async fn tell(
        &self,
        configuration: &MutatingWebhookConfiguration,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<(), Trouble> {
        let bundle = data.get(BUNDLE);
        let mut webhooks = configuration.webhooks.clone().unwrap_or_default();
        let known = |webhook: &MutatingWebhook| webhook.client_config.ca_bundle.as_ref() == bundle;
        if webhooks.iter().all(known) {
            return Ok(());
        }
        for webhook in &mut webhooks {
            webhook.client_config.ca_bundle = bundle.cloned();
        }
        // The whole list is written, so it has to be the one that was read.
        let version = &configuration.metadata.resource_version;
        let change = json!({"metadata": {"resourceVersion": version}, "webhooks": webhooks});
        let name = &self.options.configuration;
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(change);
        let written = self.configurations.patch(name, &parameters, &patch);
        let told = written.await.map(drop);
        told.map_err(|error| refused(format!("patch MutatingWebhookConfiguration {name}"), error))
    }
}

fn refused(what: String, error: kube::Error) -> Trouble {
    Trouble::Refused {
        what,
        error: Box::new(error),
    }
}

/// The names by which the configuration has API servers ask: a Service's, or those of URLs.
fn names(configuration: &MutatingWebhookConfiguration) -> Vec<String> {
    let webhooks = configuration.webhooks.iter().flatten();
    let mut names: Vec<String> = webhooks
        .filter_map(|webhook| {
            let client = &webhook.client_config;
            if let Some(service) = &client.service {
                return Some(format!("{}.{}.svc", service.name, service.namespace));
            }
            let url: Uri = client.url.as_ref()?.parse().ok()?;
            let host = url.host()?;
            Some(host.trim_matches(['[', ']']).to_owned())
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Whether these are a certificate for `names` that need not be renewed yet, its key, and a bundle.
fn holds(data: &BTreeMap<String, ByteString>, names: &[String]) -> bool {
    let Some((_, certificate)) = data
        .get(CERTIFICATE)
        .and_then(|pem| x509_parser::pem::parse_x509_pem(&pem.0).ok())
    else {
        return false;
    };
    let Ok(certificate) = certificate.parse_x509() else {
        return false;
    };
    let left = certificate.validity().time_to_expiration();
    let Ok(Some(alternatives)) = certificate.subject_alternative_name() else {
        return false;
    };
    let of_certificate = |name: &String| {
        let mut alternatives = alternatives.value.general_names.iter();
        let address = name.parse::<IpAddr>().ok();
        alternatives.any(|alternative| match alternative {
            GeneralName::DNSName(dns) => dns == name,
            GeneralName::IPAddress(bytes) => address.is_some_and(|address| match address {
                IpAddr::V4(v4) => v4.octets() == *bytes,
                IpAddr::V6(v6) => v6.octets() == *bytes,
            }),
            _ => false,
        })
    };
    left.is_some_and(|left| left.unsigned_abs() > RENEWAL)
        && names.iter().all(of_certificate)
        && server_config(data).is_ok()
        && data.contains_key(BUNDLE)
}

/// A certificate for `names` with its key; `before` stays in the bundle.
fn make(
    names: &[String],
    before: Option<&ByteString>,
) -> Result<BTreeMap<String, ByteString>, String> {
    let wrong = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new(names.to_vec()).map_err(wrong)?;
    let now = SystemTime::now();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + now.saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + (now + LIFE);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "elbow webhook");
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = params.self_signed(&key).map_err(wrong)?.pem().into_bytes();
    let mut bundle = certificate.clone();
    // Only what is a certificate: one that cannot be read would be refused by API servers.
    if let Some(before) = before
        && CertificateDer::from_pem_slice(&before.0).is_ok()
    {
        bundle.extend_from_slice(&before.0);
    }
    let entry = |name: &str, value: Vec<u8>| (name.to_owned(), ByteString(value));
    Ok(BTreeMap::from([
        entry(CERTIFICATE, certificate),
        entry(KEY, key.serialize_pem().into_bytes()),
        entry(BUNDLE, bundle),
    ]))
}

fn server_config(data: &BTreeMap<String, ByteString>) -> Result<ServerConfig, String> {
    let part = |name: &str| {
        let found = data.get(name);
        found.ok_or_else(|| format!("it has no {name}"))
    };
    let certificate = CertificateDer::from_pem_slice(&part(CERTIFICATE)?.0)
        .map_err(|error| format!("{CERTIFICATE}: {error}"))?;
    let key =
        PrivateKeyDer::from_pem_slice(&part(KEY)?.0).map_err(|error| format!("{KEY}: {error}"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key)
        });
    config.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(client: &serde_json::Value) -> MutatingWebhookConfiguration {
        let webhook = json!({"name": "a.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": client});
        serde_json::from_value(json!({"metadata": {"name": "a"}, "webhooks": [webhook, webhook]}))
            .unwrap()
    }

    #[test]
    fn a_certificate_is_for_the_name_that_api_servers_ask_by() {
        let service = json!({"service": {"namespace": "elbow-system", "name": "elbow-webhook"}});
        assert_eq!(
            names(&configuration(&service)),
            ["elbow-webhook.elbow-system.svc"]
        );
        for (url, name) in [
            ("https://127.0.0.1:9443/mutate-v1-pod", "127.0.0.1"),
            ("https://[::1]:9443/mutate-v1-pod", "::1"),
            ("https://elbow.example.com/", "elbow.example.com"),
        ] {
            let names = names(&configuration(&json!({"url": url})));
            assert_eq!(names, [name]);
            let made = make(&names, None).unwrap();
            assert!(holds(&made, &names), "{url}");
            assert!(!holds(&made, &["other.example.com".to_owned()]), "{url}");
        }
        assert!(names(&configuration(&json!({}))).is_empty());
    }

    #[test]
    fn what_cannot_serve_is_made_anew_and_what_was_before_is_trusted_on() {
        let names = ["a.example.com".to_owned()];
        let made = make(&names, None).unwrap();
        for broken in [CERTIFICATE, KEY, BUNDLE] {
            let mut data = made.clone();
            data.remove(broken);
            assert!(!holds(&data, &names), "without {broken}");
            if broken != BUNDLE {
                data.insert(broken.to_owned(), ByteString(b"none".to_vec()));
                assert!(!holds(&data, &names), "with a broken {broken}");
            }
        }
        let mut other_key = made.clone();
        let other = make(&names, made.get(CERTIFICATE)).unwrap();
        other_key.insert(KEY.to_owned(), other[KEY].clone());
        assert!(!holds(&other_key, &names), "the key of another");

        let both = [&other[CERTIFICATE].0[..], &made[CERTIFICATE].0].concat();
        assert_eq!(other[BUNDLE].0, both);
        let alone = make(&names, Some(&ByteString(b"none".to_vec()))).unwrap();
        assert_eq!(alone[BUNDLE], alone[CERTIFICATE]);
    }

    #[test]
    fn a_certificate_is_renewed_before_it_ends() {
        let names = ["a.example.com".to_owned()];
        let key = KeyPair::generate().unwrap();
        let until = |days: u64| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let mut params = CertificateParams::new(names.to_vec()).unwrap();
            params.not_after =
                rcgen::date_time_ymd(1970, 1, 1) + now + Duration::from_secs(days * 24 * 3600);
            let pem = params.self_signed(&key).unwrap().pem().into_bytes();
            BTreeMap::from([
                (CERTIFICATE.to_owned(), ByteString(pem.clone())),
                (KEY.to_owned(), ByteString(key.serialize_pem().into_bytes())),
                (BUNDLE.to_owned(), ByteString(pem)),
            ])
        };
        assert!(holds(&until(121), &names));
        assert!(!holds(&until(119), &names));
    }
}
