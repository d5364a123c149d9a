//! The authority and the certificates that it issues.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use elbow_model::{Account, Certificate, CertificateSpec};
use elbow_tls::Loaded;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

use super::home::{Error, Home, file_name, normal};
use crate::atomic_file;
use crate::unix_time::{now, since_epoch};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten years, because users trust the authority by hand.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3650);
/// Browsers reject certificates that are valid for more than 398 days (CA/Browser Forum, Baseline Requirements 6.3.2).
const LEAF_LIFE: Duration = DAY.saturating_mul(390);
/// The clocks of clients may be slow by this much.
const SKEW: Duration = Duration::from_secs(60 * 60);
/// The longest common name (X.520, ub-common-name).
const MAX_COMMON_NAME: usize = 64;
/// The prefixes of the lines that describe the certificate in its file.
const HOSTS: &str = "hosts:";
const AUTHORITY: &str = "authority:";

/// An open authority. Its folder is locked against other processes.
pub(crate) struct Authority {
    home: Home,
    certificate: PathBuf,
    pem: String,
    loaded: Arc<Loaded>,
    issuer: Issuer<'static, KeyPair>,
    /// Holds the lock while it is open.
    _lock: File,
}

/// A certificate that an authority has issued, with its key.
pub(crate) struct Leaf {
    /// The certificate and its key, as PEM.
    pub(crate) file: PathBuf,
    /// Sorted.
    pub(crate) hosts: Vec<String>,
    authority: String,
    pub(crate) loaded: Arc<Loaded>,
}

impl Authority {
    pub(crate) fn open(home: &Home) -> Result<Self, Error> {
        let folder = &home.folder;
        atomic_file::folder(&home.leaves()).map_err(Error::of(folder))?;
        let lock = folder.join("lock");
        let lock = File::create(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .map_err(Error::of(&lock))?;
        let certificate = folder.join("ca.pem");
        let key = folder.join("ca.key");
        // The certificate is written last, so the key exists whenever it does.
        if !certificate.try_exists().map_err(Error::of(&certificate))? {
            create(&certificate, &key)?;
        }
        let loaded = load(&certificate, &key)?;
        let pem = atomic_file::read(&certificate).map_err(Error::of(&certificate))?;
        let key_pem = atomic_file::read(&key).map_err(Error::of(&key))?;
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

    /// The file of the authority's certificate, which clients have to trust.
    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// The authority's certificate as PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The authority's certificate, parsed.
    pub(crate) fn loaded(&self) -> &Loaded {
        &self.loaded
    }

    /// The certificate for `hosts`, issued if there is none or little of its lifetime is left.
    ///
    /// # Errors
    /// Files cannot be read or written, or a host is invalid.
    pub(crate) fn leaf<S: AsRef<str>>(&self, hosts: &[S]) -> Result<Leaf, Error> {
        let hosts = normal(hosts);
        let kept = Leaf::read(&self.home.leaf(&hosts))?;
        match kept {
            Some(leaf) if leaf.hosts == hosts && self.keeps(&leaf) => Ok(leaf),
            _ => self.issue(hosts),
        }
    }

    /// All issued certificates in the order of their file names.
    pub(crate) fn leaves(&self) -> Result<Vec<Leaf>, Error> {
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

    /// Issues all certificates again.
    pub(crate) fn renew_all(&self) -> Result<Vec<Leaf>, Error> {
        let reissue = |leaf: Leaf| self.issue(leaf.hosts);
        self.leaves()?.into_iter().map(reissue).collect()
    }

    /// Issues the certificate in `file` again if that is due.
    pub(crate) fn renew(&self, file: &Path) -> Result<(), Error> {
        match Leaf::read(file)? {
            Some(leaf) if !self.keeps(&leaf) => self.issue(leaf.hosts).map(drop),
            _ => Ok(()),
        }
    }

    fn keeps(&self, leaf: &Leaf) -> bool {
        leaf.authority == self.name() && !is_due(&leaf.loaded, now())
    }

    /// An identifier of the authority, written to the files of its certificates; a new authority has another one.
    fn name(&self) -> String {
        let (_, base64) = self.pem.split_once('\n').unwrap_or_default();
        // A certificate ends with its signature, which is unique.
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
        set_validity(
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
        atomic_file::write(&path, &text, atomic_file::SECRET).map_err(Error::of(&path))?;
        Ok(Leaf {
            loaded: load(&path, &path)?,
            file: path,
            hosts,
            authority: self.name(),
        })
    }
}

impl Leaf {
    /// Reads the certificate in `file`; `None` if the file does not exist or has no certificate.
    fn read(file: &Path) -> Result<Option<Self>, Error> {
        match file.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(Error::of(file)(error)),
        }
        let text = atomic_file::read(file).map_err(Error::of(file))?;
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

    /// Writes the certificate and the key as two files to `folder`; returns their paths, one a line.
    pub(crate) fn copy_to(&self, folder: &Path) -> Result<String, Error> {
        fs::create_dir_all(folder).map_err(Error::of(folder))?;
        let text = atomic_file::read(&self.file).map_err(Error::of(&self.file))?;
        let begin = |what| text.find(what).unwrap_or(text.len());
        let certificate = begin("-----BEGIN CERTIFICATE-----");
        let key = begin("-----BEGIN PRIVATE KEY-----");
        let name = file_name(&self.hosts);
        let mut written = Vec::new();
        for (kind, text, mode) in [
            ("pem", text.get(certificate..key), atomic_file::PUBLIC),
            ("key", text.get(key..), atomic_file::SECRET),
        ] {
            let path = folder.join(format!("{name}.{kind}"));
            atomic_file::write(&path, text.unwrap_or_default(), mode).map_err(Error::of(&path))?;
            written.push(path.display().to_string());
        }
        Ok(written.join("\n"))
    }
}

/// Whether less than a third of the lifetime is left.
fn is_due(certificate: &Loaded, now: i64) -> bool {
    let (start, end) = (certificate.not_before(), certificate.not_after());
    end.saturating_sub(now) < end.saturating_sub(start) / 3
}

/// Creates the key and the certificate of a new authority.
fn create(certificate: &Path, key: &Path) -> Result<(), Error> {
    let pair = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    // A unique name tells authorities apart in a list of trusted ones.
    let id = params.key_identifier(&pair);
    let id: String = id.iter().take(4).map(|b| format!("{b:02x}")).collect();
    params.distinguished_name = called(&format!("elbow local authority {id}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, AUTHORITY_LIFE);
    let made = params.self_signed(&pair)?;
    atomic_file::write(key, &pair.serialize_pem(), atomic_file::SECRET).map_err(Error::of(key))?;
    atomic_file::write(certificate, &made.pem(), atomic_file::PUBLIC)
        .map_err(Error::of(certificate))
}

/// Makes the certificate valid from now for `life`.
fn set_validity(params: &mut CertificateParams, life: Duration) {
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
    let unusable = |reason: String| Error::Unusable {
        path: certificate.to_owned(),
        reason,
    };
    let spec = CertificateSpec::files("local", certificate, key);
    let declared = Certificate::new(&spec).value.map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        unusable(faults.join("; "))
    })?;
    elbow_tls::load(&declared, &Account::default()).map_err(|error| unusable(error.to_string()))
}

fn seconds(time: i64) -> Duration {
    Duration::from_secs(u64::try_from(time).unwrap_or_default())
}

#[cfg(test)]
mod tests;
