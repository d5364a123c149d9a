//! The folder of an authority, and the certificates that models want from it.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{Certificate, CertificateSource, Model};
use sha2::{Digest, Sha256};

use super::Authority;

/// Why there is no authority, or no certificate of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the local certificate authority has no folder: neither HOME nor XDG_DATA_HOME is set")]
    Homeless,
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {reason}; move it away, and another one is made", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("a certificate cannot be made: {0}")]
    Issue(#[from] rcgen::Error),
}

impl Error {
    pub(super) fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

/// The folder of an authority, which may not be there yet.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(super) folder: PathBuf,
}

impl Home {
    /// An authority in `folder`.
    pub(crate) fn at(folder: &Path) -> Self {
        // Only without a working directory, where it would not be found anyway, is it not absolute.
        let absolute = std::path::absolute(folder);
        Self {
            folder: absolute.unwrap_or_else(|_| folder.to_owned()),
        }
    }

    /// The one of this user.
    pub(crate) fn find() -> Result<Self, Error> {
        let folder = place(|name| env::var_os(name).filter(|value| !value.is_empty()));
        Ok(Self::at(&folder.ok_or(Error::Homeless)?))
    }

    /// Where the user keeps what elbow makes.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The authority, made if there is none. Others wait until this one is dropped.
    pub(crate) fn open(&self) -> Result<Authority, Error> {
        Authority::open(self)
    }

    /// Where the certificates are that it has issued, each with its key in one file.
    pub(super) fn leaves(&self) -> PathBuf {
        self.folder.join("leaves")
    }

    /// Where the certificate for `hosts` is kept; it depends on them alone.
    pub(super) fn leaf(&self, hosts: &[String]) -> PathBuf {
        let digest = Sha256::digest(hosts.join("\n"));
        let digest: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        self.leaves()
            .join(format!("{}-{digest}.pem", file_name(hosts)))
    }

    /// `model` with the place of each certificate that is to be issued, whether it has been or not.
    fn locate(&self, model: Model) -> Model {
        let place = |hosts: &[Arc<str>]| Ok::<_, Error>(self.leaf(&normal(hosts)));
        // No place is refused.
        let (model, _) = replace(model, place);
        model
    }

    /// `model` with a certificate of the authority for each that is to be issued.
    ///
    /// # Errors
    /// A diagnostic for each certificate that could not be issued.
    pub(crate) fn resolve(&self, model: Model) -> Result<Model, Vec<Diagnostic>> {
        let mut authority = None;
        let issue = |hosts: &[Arc<str>]| {
            let authority = match &mut authority {
                Some(authority) => authority,
                none => none.insert(self.open()?),
            };
            Ok::<_, Error>(authority.leaf(hosts)?.file)
        };
        let (model, refused) = replace(model, issue);
        if refused.is_empty() {
            Ok(model)
        } else {
            Err(refused)
        }
    }
}

/// Puts a certificate of this user's authority in the place of each one of `model` that is to be
/// issued.
///
/// # Errors
/// A diagnostic for each certificate that could not be issued.
pub(crate) fn resolve(model: Model) -> Result<Model, Vec<Diagnostic>> {
    let Some(wanted) = model.certificates.iter().find(|c| is_wanted(c)) else {
        return Ok(model);
    };
    match Home::find() {
        Ok(home) => home.resolve(model),
        Err(error) => Err(vec![refusal(wanted, &error)]),
    }
}

/// `model` with the places of the certificates that this user's authority issues, or would.
pub(crate) fn locate(model: Model) -> Model {
    match Home::find() {
        Ok(home) => home.locate(model),
        Err(_) => model,
    }
}

fn is_wanted(certificate: &Certificate) -> bool {
    matches!(certificate.source, CertificateSource::SelfSigned { .. })
}

/// `model` with the file that `issue` gives for the hosts of each certificate that is to be issued.
fn replace(
    mut model: Model,
    mut issue: impl FnMut(&[Arc<str>]) -> Result<PathBuf, Error>,
) -> (Model, Vec<Diagnostic>) {
    let mut issued: HashMap<Arc<str>, Arc<Certificate>> = HashMap::new();
    let mut refused = Vec::new();
    for certificate in &mut model.certificates {
        let CertificateSource::SelfSigned { hosts } = &certificate.source else {
            continue;
        };
        match issue(hosts) {
            Ok(file) => {
                let source = CertificateSource::Files {
                    certificate: file.clone(),
                    private_key: file,
                };
                Arc::make_mut(certificate).source = source;
                issued.insert(Arc::clone(&certificate.name), Arc::clone(certificate));
            }
            Err(error) => refused.push(refusal(certificate, &error)),
        }
    }
    for balancer in &mut model.load_balancers {
        balancer.replace_certificates(|name| issued.get(name));
    }
    (model, refused)
}

fn refusal(certificate: &Certificate, error: &Error) -> Diagnostic {
    let (file, line, column) = certificate.declared.clone().unwrap_or_default();
    let message = format!(
        "certificate \"{}\" is not issued: {error}",
        certificate.name
    );
    Diagnostic::error("certificate-not-issued", message)
        .at(&*file, line, column)
        .object(format!("certificate/{}", certificate.name))
        .hint("ELBOW_CA_DIR names another folder for the local authority")
}

/// How a file for `hosts` begins: with the first of them, as far as no shell minds.
pub(super) fn file_name(hosts: &[String]) -> String {
    let first = hosts.first().map_or("none", String::as_str);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    first
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(64)
        .collect()
}

/// In lower case, each once, in order: the same hosts are the same certificate.
pub(super) fn normal<S: AsRef<str>>(hosts: &[S]) -> Vec<String> {
    let mut hosts: Vec<String> = hosts
        .iter()
        .map(|host| host.as_ref().to_ascii_lowercase())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// The XDG Base Directory Specification, with a variable of our own before it.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = variable("ELBOW_CA_DIR") {
        return Some(folder.into());
    }
    let data = variable("XDG_DATA_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/share"));
    // A relative one is to be ignored.
    let data = data.filter(|path| path.is_absolute()).or_else(home)?;
    Some(data.join("elbow"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_where_the_user_keeps_data() {
        let found = |variables: &[(&str, &str)]| {
            let variable = |name: &str| {
                let found = variables.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| value.into())
            };
            place(variable)
        };
        let all = [
            ("ELBOW_CA_DIR", "ca"),
            ("XDG_DATA_HOME", "/d"),
            ("HOME", "/h"),
        ];
        assert_eq!(found(&all), Some("ca".into()));
        assert_eq!(found(&all[1..]), Some("/d/elbow".into()));
        assert_eq!(found(&all[2..]), Some("/h/.local/share/elbow".into()));
        let relative = [("XDG_DATA_HOME", "d"), ("HOME", "/h")];
        assert_eq!(found(&relative), Some("/h/.local/share/elbow".into()));
        assert_eq!(found(&[]), None);
    }

    /// A reload that names them in another order changes nothing.
    #[test]
    fn the_same_hosts_have_the_same_place() {
        let home = Home::at(Path::new("/ca"));
        let leaf = |hosts: &[&str]| home.leaf(&normal(hosts));
        assert_eq!(leaf(&["b.x", "A.x", "a.x"]), leaf(&["a.x", "b.x"]));
        assert_ne!(leaf(&["a.x"]), leaf(&["a.x", "b.x"]));
        assert_ne!(leaf(&["*.x"]), leaf(&["-.x"]));
        assert_eq!(leaf(&["::1"]).parent(), Some(Path::new("/ca/leaves")));
    }
}
