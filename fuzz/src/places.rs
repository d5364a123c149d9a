//! Compares models of files that declare the same things at other places. The fuzz targets share it with the tests of crates.

use std::sync::Arc;

use elbow_model::{Certificate, Model, MutualAuthentication};

/// The model without the places where files are declared.
pub(crate) fn without_places(mut model: Model) -> Model {
    let forget = |certificate: &mut Arc<Certificate>| Arc::make_mut(certificate).declared = None;
    model.certificates.iter_mut().for_each(forget);
    for balancer in &mut model.load_balancers {
        let balancer = Arc::make_mut(balancer);
        for listener in &mut balancer.listeners {
            listener.certificates.iter_mut().for_each(forget);
            if let MutualAuthentication::Verify(verification) = &mut listener.mutual_authentication
            {
                Arc::make_mut(&mut verification.trust_store).declared = None;
            }
        }
        let classic = balancer.classic.iter_mut();
        let policies = classic.flat_map(|one| one.backend_server_authentication.values_mut());
        for key in policies.flat_map(|policy| &mut policy.public_keys) {
            key.declared = None;
        }
    }
    model
}
