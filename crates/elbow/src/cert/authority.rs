//! An authority and what it issues.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use elbow_model::{Certificate, CertificateSource};
use elbow_tls::Loaded;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::home::{file_name, normal};
use super::{Error, Home, file};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten years, since people trust it by hand.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);
/// Browsers refuse what lives longer than 398 days (CA/Browser Forum, Baseline Requirements 6.3.2).
const LEAF_LIFE: Duration = DAY.saturating_mul(390);
/// Clocks of clients may be late by this much.
const SKEW: Duration = Duration::from_secs(60 * 60);
/// The longest common name (X.520, ub-common-name).
const MAX_COMMON_NAME: usize = 64;
/// First words of the lines that say in a leaf's file what the file is.
const HOSTS: &str = "hosts:";
const AUTHORITY: &str = "authority:";

/// An authority. No other process changes its folder meanwhile.
pub(crate) struct Authority {
    home: Home,
    certificate: PathBuf,
    pem: String,
    loaded: Arc<Loaded>,
    issuer: Issuer<'static, KeyPair>,
    /// Locked for as long as it is open.
    _lock: File,
}

/// A certificate that an authority has issued, with its key.
pub(crate) struct Leaf {
    /// Both, in PEM.
    pub(crate) file: PathBuf,
    /// In order.
    pub(super) hosts: Vec<String>,
    authority: String,
    pub(super) loaded: Arc<Loaded>,
}

impl Authority {
    pub(super) fn open(home: &Home) -> Result<Self, Error> {
        let folder = &home.folder;
        file::folder(&home.leaves()).map_err(Error::of(folder))?;
        let lock = folder.join("lock");
        let lock = File::create(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(Error::of(&lock))?;
        let certificate = folder.join("ca.pem");
        let key = folder.join("ca.key");
        // The certificate is written last, so that where it is, both are.
        if !certificate.try_exists().map_err(Error::of(&certificate))? {
            make(&certificate, &key)?;
        }
        let loaded = load(&certificate, &key)?;
        let pem = file::read(&certificate).map_err(Error::of(&certificate))?;
        let key_pem = file::read(&key).map_err(Error::of(&key))?;
        let unusable = |error: rcgen::Error| Error::Unusable {
            path: key.clone(),
            reason: error.to_string(),
        };
        let key_pair = KeyPair::from_pem(&key_pem).map_err(unusable)?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key_pair).map_err(unusable)?;
        Ok(Self {
            home: home.clone(),
            certificate,
            pem,
            loaded,
            issuer,
            _lock: lock,
        })
    }

    /// The file of its own certificate, which clients are to trust.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Its own certificate.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// Its own certificate, parsed.
    pub(super) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The certificate for `hosts`: the one of before unless little of its life is left.
    pub(crate) fn leaf<S: AsRef<str>>(&self, hosts: &[S]) -> Result<Leaf, Error> {
        let hosts = normal(hosts);
        let kept = Leaf::read(&self.home.leaf(&hosts))?;
        match kept {
            Some(leaf) if leaf.hosts == hosts && self.keeps(&leaf) => Ok(leaf),
            _ => self.issue(hosts),
        }
    }

    /// Whatever it has issued, by file.
    pub(super) fn leaves(&self) -> Result<Vec<Leaf>, Error> {
        let folder = self.home.leaves();
        let entries = fs::read_dir(&folder).map_err(Error::of(&folder))?;
        let mut files = Vec::new();
        for entry in entries {
            let file = entry.map_err(Error::of(&folder))?.path();
            if file.extension().is_some_and(|extension| extension == "pem") {
                files.push(file);
            }
        }
        files.sort();
        let leaves = files.iter().filter_map(|file| Leaf::read(file).transpose());
        leaves.collect()
    }

    /// Issues everything again.
    pub(super) fn renew_all(&self) -> Result<Vec<Leaf>, Error> {
        let again = |leaf: Leaf| self.issue(leaf.hosts);
        self.leaves()?.into_iter().map(again).collect()
    }

    /// Issues again what is at `file` when that is due.
    pub(super) fn renew(&self, file: &Path) -> Result<(), Error> {
        match Leaf::read(file)? {
            Some(leaf) if !self.keeps(&leaf) => self.issue(leaf.hosts).map(drop),
            _ => Ok(()),
        }
    }

    fn keeps(&self, leaf: &Leaf) -> bool {
        leaf.authority == self.name() && !is_due(&leaf.loaded, now())
    }

    /// How leaves name it; another authority in its place has another.
    fn name(&self) -> String {
        let (_, base64) = self.pem.split_once('\n').unwrap_or_default();
        // The end of a certificate is its signature.
        let base64: String = base64
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        let start = base64.len().saturating_sub(32);
        base64.get(start..).unwrap_or_default().to_owned()
    }

    fn issue(&self, hosts: Vec<String>) -> Result<Leaf, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(hosts.clone())?;
        let common = hosts.iter().find(|host| host.len() <= MAX_COMMON_NAME);
        params.distinguished_name = called(common.map_or("elbow", String::as_str));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let end = seconds(self.loaded.not_after());
        live(
            &mut params,
            LEAF_LIFE.min(end.saturating_sub(since_epoch())),
        );
        let certificate = params.signed_by(&key, &self.issuer)?;
        let text = format!(
            "{HOSTS} {}\n{AUTHORITY} {}\n{}{}",
            hosts.join(" "),
            self.name(),
            certificate.pem(),
            key.serialize_pem()
        );
        let path = self.home.leaf(&hosts);
        file::write(&path, &text, file::SECRET).map_err(Error::of(&path))?;
        Ok(Leaf {
            loaded: load(&path, &path)?,
            file: path,
            hosts,
            authority: self.name(),
        })
    }
}

impl Leaf {
    /// What is at `file`; `None` when that is not there, or no certificate.
    fn read(file: &Path) -> Result<Option<Self>, Error> {
        match file.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(Error::of(file)(error)),
        }
        let text = file::read(file).map_err(Error::of(file))?;
        let line = |word: &str| text.lines().find_map(|line| line.strip_prefix(word));
        let (Some(hosts), Some(authority), Ok(loaded)) =
            (line(HOSTS), line(AUTHORITY), load(file, file))
        else {
            return Ok(None);
        };
        Ok(Some(Self {
            file: file.to_owned(),
            hosts: hosts.split_whitespace().map(str::to_owned).collect(),
            authority: authority.trim().to_owned(),
            loaded,
        }))
    }

    /// Writes a file of the certificate and one of the key to `folder`; says where.
    pub(super) fn copy_to(&self, folder: &Path) -> Result<String, Error> {
        fs::create_dir_all(folder).map_err(Error::of(folder))?;
        let text = file::read(&self.file).map_err(Error::of(&self.file))?;
        let begin = |what| text.find(what).unwrap_or(text.len());
        let certificate = begin("-----BEGIN CERTIFICATE-----");
        let key = begin("-----BEGIN PRIVATE KEY-----");
        let name = file_name(&self.hosts);
        let mut written = Vec::new();
        for (kind, text, mode) in [
            ("pem", text.get(certificate..key), file::PUBLIC),
            ("key", text.get(key..), file::SECRET),
        ] {
            let path = folder.join(format!("{name}.{kind}"));
            file::write(&path, text.unwrap_or_default(), mode).map_err(Error::of(&path))?;
            written.push(path.display().to_string());
        }
        Ok(written.join("\n"))
    }
}

/// Less than a third of its life is left.
fn is_due(certificate: &Loaded, now: i64) -> bool {
    let (start, end) = (certificate.not_before(), certificate.not_after());
    end.saturating_sub(now) < end.saturating_sub(start) / 3
}

/// Makes the authority itself.
fn make(certificate: &Path, key: &Path) -> Result<(), Error> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // Authorities of one name are hard to tell apart in a list of those that are trusted.
    let id = params.key_identifier(&pair);
    let id: String = id.iter().take(4).map(|b| format!("{b:02x}")).collect();
    params.distinguished_name = called(&format!("elbow local authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    live(&mut params, AUTHORITY_LIFE);
    let made = params.self_signed(&pair)?;
    file::write(key, &pair.serialize_pem(), file::SECRET).map_err(Error::of(key))?;
    file::write(certificate, &made.pem(), file::PUBLIC).map_err(Error::of(certificate))
}

/// From now for `life`.
fn live(params: &mut CertificateParams, life: Duration) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch().saturating_sub(SKEW);
    params.not_after = epoch + since_epoch().saturating_add(life);
}

fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn load(certificate: &Path, key: &Path) -> Result<Arc<Loaded>, Error> {
    let declared = Certificate {
        name: "local".into(),
        source: CertificateSource::Files {
            certificate: certificate.to_owned(),
            private_key: key.to_owned(),
        },
        declared: None,
    };
    elbow_tls::load(&declared).map_err(|error| Error::Unusable {
        path: certificate.to_owned(),
        reason: error.to_string(),
    })
}

fn since_epoch() -> Duration {
    // A clock before 1970 has nothing valid anyway.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Seconds of Unix time.
pub(super) fn now() -> i64 {
    i64::try_from(since_epoch().as_secs()).unwrap_or(i64::MAX)
}

fn seconds(time: i64) -> Duration {
    Duration::from_secs(u64::try_from(time).unwrap_or_default())
}

#[cfg(test)]
mod tests;
