//! Authorities that issue certificates of clients.

use std::path::PathBuf;
use std::sync::Arc;

use elbow_model as model;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use super::{Folder, Key};
use crate::{ClientAuth, TrustStore, TrustStoreError, load_trust_store};

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
    pub(crate) der: CertificateDer<'static>,
}

/// What a leaf is like.
#[derive(Clone, Copy)]
pub(crate) struct LeafSpec {
    pub(crate) name: &'static str,
    pub(crate) serial: u64,
    pub(crate) key: Key,
    /// Of its validity.
    pub(crate) years: (i32, i32),
    pub(crate) purpose: &'static [ExtendedKeyUsagePurpose],
    /// Adds names to it.
    pub(crate) name_more: fn(&mut CertificateParams),
}

/// A leaf, its key as DER, and its chain without the root.
pub(crate) struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: Vec<u8>,
}

impl Default for LeafSpec {
    fn default() -> Self {
        Self {
            name: "client",
            serial: 7,
            key: Key::P256,
            years: (2001, 2099),
            purpose: &[ExtendedKeyUsagePurpose::ClientAuth],
            name_more: |_| {},
        }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let (params, key) = (Self::params(name), Key::P256.generate());
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (Self::params(name), Key::P256.generate());
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        params
    }

    /// A leaf, with the chain `above` it.
    pub(crate) fn leaf(&self, spec: &LeafSpec, above: &[&Self]) -> Issued {
        let key = spec.key.generate();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, "Acme, Inc.");
        name.push(DnType::CommonName, spec.name);
        params.serial_number = Some(SerialNumber::from(spec.serial));
        params.extended_key_usages = spec.purpose.to_vec();
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(spec.years.0, 1, 2);
        params.not_after = date_time_ymd(spec.years.1, 3, 4);
        (spec.name_more)(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let mut chain = vec![leaf.der().clone()];
        chain.extend(above.iter().map(|one| one.der.clone()));
        Issued {
            chain,
            key: key.serialize_der(),
        }
    }

    /// A revocation list, valid in 2020 alone.
    pub(crate) fn revocation_list(&self, serial: u64) -> String {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(2020, 12, 31),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: vec![RevokedCertParams {
                serial_number: SerialNumber::from(serial),
                revocation_time: date_time_ymd(2020, 1, 1),
                reason_code: None,
                invalidity_date: None,
            }],
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// The trust store of these PEM texts.
pub(crate) fn trust_store(
    bundle: &str,
    revocations: &[&str],
) -> Result<Arc<TrustStore>, TrustStoreError> {
    let folder = Folder::new();
    let revocations = revocations.iter().enumerate();
    let revocations: Vec<PathBuf> = revocations
        .map(|(i, text)| folder.write(&format!("{i}.crl"), text))
        .collect();
    let spec = model::TrustStoreSpec {
        name: Some("clients".into()),
        ca_certificates_bundle_file: Some(folder.write("bundle.pem", bundle)),
        revocation_files: Some(revocations),
        ..model::TrustStoreSpec::default()
    };
    load_trust_store(&model::TrustStore::new(&spec).value.unwrap())
}

pub(crate) fn verify(store: Arc<TrustStore>) -> ClientAuth {
    ClientAuth::Verify {
        store,
        ignores_expiry: false,
        advertises_names: false,
        filters: Arc::default(),
    }
}
