//! The folder of an authority.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Why the authority cannot be opened or cannot issue a certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no folder for the local certificate authority: neither HOME nor XDG_DATA_HOME is set")]
    Homeless,
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: {reason}; move the file away to get a new authority", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error("cannot create a certificate: {0}")]
    Issue(#[from] rcgen::Error),
}

impl Error {
    pub(super) fn of(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::File { path, source }
    }
}

/// The folder of an authority, which may not exist yet.
#[derive(Clone, Debug)]
pub(crate) struct Home {
    pub(super) folder: PathBuf,
}

impl Home {
    /// The authority in `folder`.
    pub(crate) fn at(folder: &Path) -> Self {
        // Fails only without a working directory, where a relative path leads nowhere either.
        let absolute = std::path::absolute(folder);
        Self {
            folder: absolute.unwrap_or_else(|_| folder.to_owned()),
        }
    }

    /// The authority of this user.
    ///
    /// # Errors
    /// No environment variable names a folder.
    pub(crate) fn find() -> Result<Self, Error> {
        let folder = place(|name| env::var_os(name).filter(|value| !value.is_empty()));
        Ok(Self::at(&folder.ok_or(Error::Homeless)?))
    }

    /// The folder where elbow keeps the user's data.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of issued certificates, each in one file with its key.
    pub(super) fn leaves(&self) -> PathBuf {
        self.folder.join("leaves")
    }

    /// The file of the certificate for `hosts`, which have to be [`normal`]; it depends on nothing else.
    pub(super) fn leaf(&self, hosts: &[String]) -> PathBuf {
        let digest = Sha256::digest(hosts.join("\n"));
        let digest: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
        self.leaves()
            .join(format!("{}-{digest}.pem", file_name(hosts)))
    }
}

/// The start of a file name for `hosts`: the first host, with `_` for characters that are special to shells.
pub(super) fn file_name(hosts: &[String]) -> String {
    let first = hosts.first().map_or("none", String::as_str);
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    first
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(64)
        .collect()
}

/// `hosts` in lower case, sorted and without duplicates, so that equal sets share a certificate.
pub(super) fn normal<S: AsRef<str>>(hosts: &[S]) -> Vec<String> {
    let mut hosts: Vec<String> = hosts
        .iter()
        .map(|host| host.as_ref().to_ascii_lowercase())
        .collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// The folder by the XDG Base Directory Specification; ELBOW_CA_DIR overrides it.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(folder) = variable("ELBOW_CA_DIR") {
        return Some(folder.into());
    }
    let data = variable("XDG_DATA_HOME").map(PathBuf::from);
    let home = || Some(PathBuf::from(variable("HOME")?).join(".local/share"));
    // The specification says to ignore relative paths.
    let data = data.filter(|path| path.is_absolute()).or_else(home)?;
    Some(data.join("elbow"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_in_the_users_data_folder() {
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

    /// A reload with the hosts in another order keeps the certificate.
    #[test]
    fn equal_sets_of_hosts_share_a_file() {
        let home = Home::at(Path::new("/ca"));
        let leaf = |hosts: &[&str]| home.leaf(&normal(hosts));
        assert_eq!(leaf(&["b.x", "A.x", "a.x"]), leaf(&["a.x", "b.x"]));
        assert_ne!(leaf(&["a.x"]), leaf(&["a.x", "b.x"]));
        assert_ne!(leaf(&["*.x"]), leaf(&["-.x"]));
        assert_eq!(leaf(&["::1"]).parent(), Some(Path::new("/ca/leaves")));
    }
}
