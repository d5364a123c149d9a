//! Authorities that issue certificates of clients, with chains, expiry and revocation.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevocationReason, RevokedCertParams, SerialNumber, date_time_ymd,
};

use crate::certificates::Leaf;

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// What a client's certificate is like.
#[derive(Clone, Copy, Debug)]
pub struct ClientSpec {
    /// The common name.
    pub name: &'static str,
    /// The serial number.
    pub serial: u64,
    /// The first and the last year of its validity.
    pub years: (i32, i32),
    /// Whether it is for servers.
    pub is_for_servers: bool,
}

impl Default for ClientSpec {
    fn default() -> Self {
        Self {
            name: "alice",
            serial: 0x03_A5_B1,
            years: (2020, 2049),
            is_for_servers: false,
        }
    }
}

impl Authority {
    /// A root.
    pub fn new(name: &str) -> Self {
        let (params, key) = (params(name), KeyPair::generate().unwrap());
        Self {
            pem: params.self_signed(&key).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// An authority below this one.
    pub fn intermediate(&self, name: &str) -> Self {
        let (params, key) = (params(name), KeyPair::generate().unwrap());
        Self {
            pem: params.signed_by(&key, &self.issuer).unwrap().pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate of a client, with the certificates of the authorities `above` it behind it.
    pub fn client(&self, spec: &ClientSpec, above: &[&Self]) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(DnType::CountryName, "DE");
        name.push(DnType::OrganizationName, "Acme, Inc.");
        name.push(DnType::CommonName, spec.name);
        params.serial_number = Some(SerialNumber::from(spec.serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![if spec.is_for_servers {
            ExtendedKeyUsagePurpose::ServerAuth
        } else {
            ExtendedKeyUsagePurpose::ClientAuth
        }];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(spec.years.0, 1, 2);
        params.not_after = date_time_ymd(spec.years.1, 3, 4);
        let mut chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        chain.extend(above.iter().map(|one| one.pem()));
        Leaf {
            certificate: chain,
            key: key.serialize_pem(),
        }
    }

    /// A list that revokes the certificates with these serial numbers.
    pub fn revocation_list(&self, serials: &[u64]) -> String {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2021, 1, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2021, 1, 1),
            next_update: date_time_ymd(2049, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
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
