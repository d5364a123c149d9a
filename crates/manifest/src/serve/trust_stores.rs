//! The trust store that an ARN means.

use std::collections::BTreeMap;
use std::path::Path;

use elbow_model::diagnostic::Diagnostic;
use elbow_model::{MutualAuthenticationSpec, TrustStoreSpec};

use super::hosts::name;
use super::values::is_match;
use crate::Context;
use crate::context::{KnownTrustStore, UnknownResources};
use crate::stack::{Listener, Stack};

/// Why a listener that verifies certificates of clients is left out: without its trust store it would admit anybody.
pub(super) enum LeftOut {
    Warning(Diagnostic),
    Error(Diagnostic),
}

/// What the clients of a listener are asked for, in the words of the model; `None`: nothing.
pub(super) fn mutual_authentication(
    listener: &Listener,
    context: &Context,
) -> Result<Option<MutualAuthenticationSpec>, LeftOut> {
    let Some(mutual) = &listener.mutual_authentication else {
        return Ok(None);
    };
    let mut spec = MutualAuthenticationSpec {
        mode: Some(mutual.mode.clone()),
        ..MutualAuthenticationSpec::default()
    };
    let Some(arn) = store_of(listener) else {
        return Ok((mutual.mode != "off").then_some(spec));
    };
    if known(context, arn).is_none() {
        return Err(unknown(listener, arn, context));
    }
    spec.trust_store = Some(name(arn));
    spec.ignore_client_certificate_expiry = mutual.ignore_client_certificate_expiry;
    spec.advertise_trust_store_ca_names
        .clone_from(&mutual.advertise_ca_names);
    Ok(Some(spec))
}

/// The trust stores that listeners of `stack` use and the environment knows, each once.
pub(super) fn specs(stack: &Stack, context: &Context) -> Vec<TrustStoreSpec> {
    let folder = Path::new(&context.file).parent();
    let folder = folder.unwrap_or_else(|| Path::new(""));
    let spec = |arn: &str| {
        let known = known(context, arn)?;
        let revocations = known.revocation_files.iter();
        Some(TrustStoreSpec {
            name: Some(name(arn)),
            ca_certificates_bundle_file: Some(folder.join(&known.ca_certificates_bundle_file)),
            revocation_files: Some(revocations.map(|file| folder.join(file)).collect()),
            declared: Some((context.file.as_str().into(), known.line, known.column)),
        })
    };
    let arns = stack.listeners.values().filter_map(|one| store_of(one));
    let specs: BTreeMap<&str, TrustStoreSpec> =
        arns.filter_map(|arn| Some((arn, spec(arn)?))).collect();
    specs.into_values().collect()
}

/// The ARN of the trust store of a listener in mode `verify`.
fn store_of(listener: &Listener) -> Option<&str> {
    let mutual = listener.mutual_authentication.as_ref()?;
    let arn = mutual.trust_store_arn.as_deref()?;
    (mutual.mode == "verify").then_some(arn)
}

/// The trust store of the environment for an ARN: by the ARN, by its name alone, by a pattern.
fn known<'a>(context: &'a Context, arn: &str) -> Option<&'a KnownTrustStore> {
    let by = |holds: &dyn Fn(&str) -> bool| {
        let mut stores = context.trust_stores.iter();
        stores.find(|known| holds(&known.arn))
    };
    let name = arn.split('/').nth(1);
    by(&|known| known == arn)
        .or_else(|| by(&|known| Some(known) == name))
        .or_else(|| by(&|known| known.contains('*') && is_match(known, arn)))
}

fn unknown(listener: &Listener, arn: &str, context: &Context) -> LeftOut {
    let code = "trust-store-not-found";
    let message = format!(
        "listener {}: no trust store is known by \"{arn}\"",
        *listener.port
    );
    let origin = listener.mutual_authentication.as_ref();
    let origin = origin.map_or(&listener.port.origin, |mutual| &mutual.origin);
    let hint = "list it with the file of its certificates under trustStores in the environment";
    if context.unknown_resources == UnknownResources::Fail {
        return LeftOut::Error(origin.place(Diagnostic::error(code, message)).hint(hint));
    }
    let message = format!("{message}; the listener is left out");
    LeftOut::Warning(origin.place(Diagnostic::warning(code, message)).hint(hint))
}
