//! Renewal of certificates while they are served, and warnings before they expire.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use elbow_model::{CertificateSource, Model};
use elbow_plane::{CertificateStatus, View};
use tracing::warn;

use super::home::{Error, Home};
use super::issuer::Authority;
use crate::unix_time::{date, now};

/// The time between two checks.
const LOOK: Duration = Duration::from_secs(60);
/// The time between two warnings about one certificate.
const REPEAT: Duration = Duration::from_secs(24 * 60 * 60);
/// Certificates that expire within this many seconds get a warning.
const SOON: i64 = 30 * 24 * 60 * 60;

/// Renews certificates of this user's authority and warns of others that expire soon. Never returns. The reload of
/// changed files picks up renewed certificates.
pub(crate) async fn watch(view: View) {
    let mut warned: HashMap<(String, i64), Instant> = HashMap::new();
    loop {
        if let Ok(home) = Home::find()
            && let Err(error) = renew(&home, &view.model())
        {
            warn!(%error, "cannot renew a certificate of the local authority");
        }
        let status = view.status();
        warned.retain(|_, at| at.elapsed() < REPEAT);
        for certificate in &status.certificates {
            let key = (certificate.arn.clone(), certificate.not_after);
            if let Some(what) = warning(certificate, now())
                && !warned.contains_key(&key)
            {
                warn!(
                    certificate = certificate.arn,
                    issuer = certificate.issuer,
                    "{what}"
                );
                warned.insert(key, Instant::now());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Renews the certificates in `home` that `model` uses and that are due.
fn renew(home: &Home, model: &Model) -> Result<(), Error> {
    let leaves = home.leaves();
    let is_leaf = |file: &&Path| file.starts_with(&leaves);
    let files = model.certificates.iter().filter_map(|c| match &c.source {
        CertificateSource::Files { certificate, .. } => Some(certificate.as_path()),
        _ => None,
    });
    let mut files = files.filter(is_leaf).peekable();
    if files.peek().is_none() {
        return Ok(());
    }
    let authority = Authority::open(home)?;
    files.try_for_each(|file| authority.renew(file))
}

fn warning(certificate: &CertificateStatus, now: i64) -> Option<String> {
    let end = certificate.not_after;
    let day = date(end);
    if end < now {
        Some(format!(
            "this certificate expired on {day}; clients reject it"
        ))
    } else if end - now < SOON {
        Some(format!("this certificate expires on {day}; renew it"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_within_a_month_is_a_warning() {
        let certificate = CertificateStatus {
            arn: "a".into(),
            names: Vec::new(),
            issuer: "CN=a".into(),
            // 2031-12-31
            not_after: 1_956_441_600,
        };
        let at = |seconds_before| warning(&certificate, 1_956_441_600 - seconds_before);
        assert_eq!(at(SOON), None);
        let soon = "this certificate expires on 2031-12-31; renew it";
        assert_eq!(at(SOON - 1).as_deref(), Some(soon));
        assert_eq!(at(0).as_deref(), Some(soon));
        let gone = "this certificate expired on 2031-12-31; clients reject it";
        assert_eq!(at(-1).as_deref(), Some(gone));
    }
}
