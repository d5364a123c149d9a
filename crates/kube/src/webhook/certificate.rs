//! The webhook's certificate. elbow issues it, keeps it in a Secret that all replicas share, renews it in time, and publishes it
//! to API servers as the `caBundle` of the MutatingWebhookConfiguration.

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

/// How long a certificate is valid.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);
/// A certificate is renewed when less than this is left.
const RENEWAL: Duration = Duration::from_secs(120 * 24 * 3600);
/// Validity starts this long ago, for API servers with a slow clock.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);
/// The time between checks of the Secret and the configuration.
const CHECK: Duration = Duration::from_secs(60);
/// The same while API servers know no certificate.
const RETRY: Duration = Duration::from_secs(5);

/// Keys of the Secret, which is of type `kubernetes.io/tls`: the certificate, its key, and the bundle that API servers trust. The
/// bundle also has the previous certificate, as long as a replica may still use it.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const BUNDLE: &str = "ca.crt";

/// Issues and renews the webhook's certificate.
pub struct Certificates {
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    options: Options,
}

/// Why API servers know no certificate.
#[derive(Debug, thiserror::Error)]
enum CertificateError {
    #[error(
        "MutatingWebhookConfiguration {0} not found, or it has no webhook: apply config/kube-webhook, or the chart with webhook.enabled=true"
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
    /// Certificates of a cluster's webhook.
    pub fn new(client: Client, options: Options) -> Self {
        Self {
            secrets: Api::namespaced(client.clone(), &options.namespace),
            configurations: Api::all(client),
            options,
        }
    }

    /// Keeps the certificate valid, published to API servers, and offered to the server. Never returns.
    pub(super) async fn keep(self, offer: watch::Sender<Option<Arc<ServerConfig>>>) {
        let mut serves = None;
        let mut logged = String::new();
        loop {
            let again = match self.check(&offer, &mut serves).await {
                Ok(()) => {
                    logged.clear();
                    CHECK
                }
                Err(error) => {
                    let text = error.to_string();
                    if text != logged {
                        warn!("webhook: {text}");
                        logged = text;
                    }
                    RETRY
                }
            };
            tokio::time::sleep(again).await;
        }
    }

    async fn check(
        &self,
        offer: &watch::Sender<Option<Arc<ServerConfig>>>,
        serves: &mut Option<BTreeMap<String, ByteString>>,
    ) -> Result<(), CertificateError> {
        let configuration = self.configuration().await?;
        let names = names(&configuration);
        if names.is_empty() {
            return Err(CertificateError::NoConfiguration(
                self.options.configuration.clone(),
            ));
        }
        let data = self.secret(&names).await?;
        if serves.as_ref() != Some(&data) {
            let unusable = |what: String| CertificateError::Unusable(self.secret_name(), what);
            let config = Arc::new(server_config(&data).map_err(unusable)?);
            offer.send_replace(Some(config));
            info!(
                names = names.join(", "),
                "webhook: ready to answer API servers"
            );
            *serves = Some(data.clone());
        }
        self.publish_bundle(&configuration, &data).await
    }

    async fn configuration(&self) -> Result<MutatingWebhookConfiguration, CertificateError> {
        let name = &self.options.configuration;
        let found = self.configurations.get_opt(name).await;
        let found = found
            .map_err(|error| refused(format!("get MutatingWebhookConfiguration {name}"), error))?;
        found.ok_or_else(|| CertificateError::NoConfiguration(name.clone()))
    }

    fn secret_name(&self) -> String {
        format!("{}/{}", self.options.namespace, self.options.secret)
    }

    /// Returns the data of the Secret; issues or renews the certificate first if necessary. If several replicas do so at once, one
    /// wins, and the others use its certificate.
    async fn secret(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, ByteString>, CertificateError> {
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
        if is_current(&data, names) {
            return Ok(data);
        }
        let made = issue(names, data.get(CERTIFICATE))
            .map_err(|what| CertificateError::Unusable(self.secret_name(), what))?;
        let parameters = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match found {
            Some(mut secret) => {
                secret.data = Some(made.clone());
                // The Secret has the version that was read, so another replica's write is not lost.
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
                if is_current(&data, names) {
                    Ok(data)
                } else {
                    Err(CertificateError::Unusable(
                        self.secret_name(),
                        "another client keeps writing to it".to_owned(),
                    ))
                }
            }
            Err(error) => Err(refused(what("write"), error)),
        }
    }

    /// Writes the bundle into the configuration if it differs.
    async fn publish_bundle(
        &self,
        configuration: &MutatingWebhookConfiguration,
        data: &BTreeMap<String, ByteString>,
    ) -> Result<(), CertificateError> {
        let bundle = data.get(BUNDLE);
        let mut webhooks = configuration.webhooks.clone().unwrap_or_default();
        let known = |webhook: &MutatingWebhook| webhook.client_config.ca_bundle.as_ref() == bundle;
        if webhooks.iter().all(known) {
            return Ok(());
        }
        for webhook in &mut webhooks {
            webhook.client_config.ca_bundle = bundle.cloned();
        }
        // The patch replaces the whole list, so it must apply to the version that was read.
        let version = &configuration.metadata.resource_version;
        let change = json!({"metadata": {"resourceVersion": version}, "webhooks": webhooks});
        let name = &self.options.configuration;
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(change);
        let written = self.configurations.patch(name, &parameters, &patch);
        let result = written.await.map(drop);
        result.map_err(|error| refused(format!("patch MutatingWebhookConfiguration {name}"), error))
    }
}

fn refused(what: String, error: kube::Error) -> CertificateError {
    CertificateError::Refused {
        what,
        error: Box::new(error),
    }
}

/// The names that API servers connect to, as the configuration has them: a Service's, or hosts of URLs.
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

/// Whether the data has a certificate for `names` that is not due for renewal, its key, and a bundle.
fn is_current(data: &BTreeMap<String, ByteString>, names: &[String]) -> bool {
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

/// Issues a certificate for `names`; the bundle also has `before`.
fn issue(
    names: &[String],
    before: Option<&ByteString>,
) -> Result<BTreeMap<String, ByteString>, String> {
    let wrong = |error: rcgen::Error| error.to_string();
    let mut params = CertificateParams::new(names.to_vec()).map_err(wrong)?;
    let now = SystemTime::now();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    params.not_before = epoch + now.saturating_sub(CLOCK_SKEW);
    params.not_after = epoch + (now + VALIDITY);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "elbow webhook");
    let key = KeyPair::generate().map_err(wrong)?;
    let certificate = params.self_signed(&key).map_err(wrong)?.pem().into_bytes();
    let mut bundle = certificate.clone();
    // API servers refuse a bundle with anything but certificates.
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
        found.ok_or_else(|| format!("the Secret has no key {name}"))
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
    fn certificate_has_the_name_that_api_servers_connect_to() {
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
            let made = issue(&names, None).unwrap();
            assert!(is_current(&made, &names), "{url}");
            assert!(
                !is_current(&made, &["other.example.com".to_owned()]),
                "{url}"
            );
        }
        assert!(names(&configuration(&json!({}))).is_empty());
    }

    #[test]
    fn broken_certificate_is_reissued_and_the_previous_one_stays_trusted() {
        let names = ["a.example.com".to_owned()];
        let made = issue(&names, None).unwrap();
        for broken in [CERTIFICATE, KEY, BUNDLE] {
            let mut data = made.clone();
            data.remove(broken);
            assert!(!is_current(&data, &names), "without {broken}");
            if broken != BUNDLE {
                data.insert(broken.to_owned(), ByteString(b"none".to_vec()));
                assert!(!is_current(&data, &names), "with a broken {broken}");
            }
        }
        let mut other_key = made.clone();
        let other = issue(&names, made.get(CERTIFICATE)).unwrap();
        other_key.insert(KEY.to_owned(), other[KEY].clone());
        assert!(!is_current(&other_key, &names), "the key of another");

        let both = [&other[CERTIFICATE].0[..], &made[CERTIFICATE].0].concat();
        assert_eq!(other[BUNDLE].0, both);
        let alone = issue(&names, Some(&ByteString(b"none".to_vec()))).unwrap();
        assert_eq!(alone[BUNDLE], alone[CERTIFICATE]);
    }

    #[test]
    fn certificate_is_renewed_before_it_expires() {
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
        assert!(is_current(&until(121), &names));
        assert!(!is_current(&until(119), &names));
    }
}
