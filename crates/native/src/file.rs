//! The whole file. Each kind of thing in it has a module, which holds its fields as a type (for the JSON schema and for
//! writing), how it is read and how it is written. A test checks that the type has the fields of the reader.

use std::sync::Arc;

use elbow_model::diagnostic::Severity;
use elbow_model::{Environment, Model, ModelSpec};
use elbow_yaml::Node;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use super::certificate::{self, Certificate};
use super::finding;
use super::item::{Fields, Item, Log};
use super::load_balancer::{self, LoadBalancer};
use super::target_group::{self, TargetGroup};
use super::trust_store::{self, TrustStore};

/// elbow's native file: load balancers, their target groups, certificates and trust stores.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct File {
    #[schemars(default)]
    pub(super) load_balancers: Vec<LoadBalancer>,
    #[schemars(default)]
    pub(super) target_groups: Vec<TargetGroup>,
    #[schemars(default)]
    pub(super) certificates: Vec<Certificate>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    pub(super) trust_stores: Vec<TrustStore>,
}

/// The JSON schema of the native file, kept as `config/native.schema.json`.
pub fn schema() -> Value {
    let schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<File>();
    schema.to_value()
}

/// The model that the tree describes, when nothing is wrong with it; what is wrong is logged.
pub(super) fn read(root: &Node, environment: Environment, log: &Log) -> Option<Model> {
    let spec = ModelSpec {
        environment: Arc::new(environment),
        ..model_spec(&Item::root(root, log))
    };
    let checked = Model::new(&spec);
    finding::report(root, Severity::Warning, checked.warnings, log);
    match checked.value {
        Ok(model) => {
            let faults = model.check_balancers().value.err().unwrap_or_default();
            let is_whole = faults.is_empty();
            finding::report(root, Severity::Error, faults, log);
            is_whole.then_some(model)
        }
        Err(faults) => {
            finding::report(root, Severity::Error, faults, log);
            None
        }
    }
}

/// What a file says.
fn model_spec(root: &Item<'_>) -> ModelSpec {
    root.mapping(|fields| ModelSpec {
        load_balancers: objects(fields, "loadBalancers", "loadBalancer", load_balancer::read),
        target_groups: objects(fields, "targetGroups", "targetGroup", target_group::read),
        certificates: objects(fields, "certificates", "certificate", certificate::read),
        trust_stores: objects(fields, "trustStores", "trustStore", trust_store::read),
        environment: Arc::default(),
    })
}

fn objects<'a, T>(
    fields: &Fields<'a>,
    list: &'static str,
    kind: &str,
    read: fn(&Item<'a>) -> T,
) -> Vec<T> {
    let read = |item: &Item<'a>| read(&item.object(kind));
    fields.list(list, read).unwrap_or_default()
}

/// `model` as a native file with every default written out. [`parse`](super::parse) reads the same model back, except
/// for private keys that the model holds as text and for secrets of clients: they are not shown.
///
/// ```
/// use elbow_model::Model;
///
/// let empty = elbow_native::render(&Model::default());
/// assert_eq!(empty.to_string(), r#"{"loadBalancers":[],"targetGroups":[],"certificates":[]}"#);
/// ```
pub fn render(model: &Model) -> Value {
    let load_balancers = model.load_balancers.iter();
    let target_groups = model.target_groups.iter();
    let certificates = model.certificates.iter();
    let trust_stores = model.trust_stores().into_iter();
    let file = File {
        load_balancers: load_balancers.map(|lb| load_balancer::render(lb)).collect(),
        target_groups: target_groups
            .map(|group| target_group::render(group))
            .collect(),
        certificates: certificates.map(|one| certificate::render(one)).collect(),
        trust_stores: trust_stores.map(|one| trust_store::render(one)).collect(),
    };
    // Serialization fails only for maps whose keys are not strings; the file has no such map.
    serde_json::to_value(file).unwrap_or_default()
}
