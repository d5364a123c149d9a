//! The relations between Ingresses and Services.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Key;
use crate::annotations::ingress;
use crate::objects::{Ingress, Meta};

/// The Services of an Ingress's paths and actions, whichever controller it belongs to.
pub(crate) fn led_to(ingress: &Ingress) -> BTreeSet<Key> {
    let mut all = BTreeSet::new();
    let meta = &ingress.meta;
    let mut add = |name: &str| {
        all.insert((meta.namespace.clone(), name.to_owned()));
    };
    backends(ingress).for_each(&mut add);
    for (key, annotation) in &meta.annotations {
        if ingress::ACTIONS.is(key)
            && let Ok(action) = serde_json::from_str(&annotation.value)
        {
            service_names(&action, &mut add);
        }
    }
    all
}

/// Every `serviceName` in an action.
fn service_names(action: &Value, add: &mut impl FnMut(&str)) {
    match action {
        Value::Object(fields) => {
            for (field, value) in fields {
                match value.as_str() {
                    Some(name) if field.eq_ignore_ascii_case("serviceName") => add(name),
                    _ => service_names(value, add),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| service_names(item, add)),
        _ => {}
    }
}

/// Whether a Service or an Ingress turns authentication on.
pub(crate) fn asks(meta: &Meta) -> bool {
    let kind = meta.annotations.get(ingress::AUTH_TYPE.key);
    kind.is_some_and(|kind| kind.value != "none")
}

/// The names of the backends of an Ingress.
pub(crate) fn backends(ingress: &Ingress) -> impl Iterator<Item = &str> {
    let paths = ingress.rules.iter().filter_map(|rule| rule.paths.as_ref());
    let paths = paths.flatten().map(|path| &path.backend);
    paths
        .chain(&ingress.default_backend)
        .map(|backend| backend.name())
}
