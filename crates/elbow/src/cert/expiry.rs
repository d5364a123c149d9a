//! Certificates that expire while they are served.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use elbow_model::{CertificateSource, Model};
use elbow_plane::{CertificateStatus, View};
use tracing::warn;

use super::authority::now;
use super::print::date;
use super::{Error, Home};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(60);
/// Between two warnings of the same.
const AGAIN: Duration = Duration::from_secs(24 * 60 * 60);
/// What expires within this time is warned of.
const SOON: i64 = 30 * 24 * 60 * 60;

/// Warns of certificates that expire soon, and issues again those of this user's authority; never
/// returns. A new file is found by whoever watches the files.
pub(crate) async fn watch(view: View) {
    let mut told: HashMap<(String, i64), Instant> = HashMap::new();
    loop {
        if let Ok(home) = Home::find()
            && let Err(error) = renew(&home, &view.model())
        {
            warn!(%error, "a certificate of the local authority is not renewed");
        }
        let status = view.status();
        told.retain(|_, at| at.elapsed() < AGAIN);
        for certificate in &status.certificates {
            let key = (certificate.arn.clone(), certificate.not_after);
            if let Some(what) = warning(certificate, now())
                && !told.contains_key(&key)
            {
                warn!(
                    certificate = certificate.arn,
                    issuer = certificate.issuer,
                    "{what}"
                );
                told.insert(key, Instant::now());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Issues again what is due of the certificates of `home` that `model` has.
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
    let authority = home.open()?;
    files.try_for_each(|file| authority.renew(file))
}

fn warning(certificate: &CertificateStatus, now: i64) -> Option<String> {
    let end = certificate.not_after;
    let day = date(end);
    if end < now {
        Some(format!(
            "this certificate expired on {day}; clients refuse it"
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
    fn what_expires_within_a_month_is_warned_of() {
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
        let gone = "this certificate expired on 2031-12-31; clients refuse it";
        assert_eq!(at(-1).as_deref(), Some(gone));
    }
}
