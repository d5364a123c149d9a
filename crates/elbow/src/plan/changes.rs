//! The changes that manifests would make to a running elbow.

use elbow_model::Model;
use elbow_native::{Change, ChangeAction, diff_rendered};
use serde::Serialize;
use serde_json::Value;

/// All changes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// The admin address of the running elbow.
    pub(crate) against: String,
    /// The number of objects that would be created.
    pub(crate) create: usize,
    /// The number of objects that would be changed.
    pub(crate) change: usize,
    /// The number of objects that would be deleted.
    pub(crate) delete: usize,
    pub(crate) items: Vec<Item>,
}

/// The change of one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) action: Act,
    /// `load balancer`, `listener`, `rule`, `target group`, `target`, `certificate`.
    pub(crate) kind: &'static str,
    /// `web`, `web:443`, `web:443/10`, `pods/10.0.0.1:80`.
    pub(crate) name: String,
    /// The changed fields; empty unless the action is a change.
    pub(crate) fields: Vec<Field>,
}

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Act {
    Create,
    Change,
    Delete,
}

/// A field with another value; an empty string means no value.
#[derive(Debug, Serialize)]
pub(crate) struct Field {
    pub(crate) field: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The changes from `running`, an answer of `/config`, to `planned`.
pub(crate) fn compare(running: &Value, planned: &Model, against: String) -> Changes {
    let mut items: Vec<Item> = Vec::new();
    for Change { kind, name, action } in diff_rendered(running, &elbow_native::render(planned)) {
        let (action, field) = match action {
            ChangeAction::Added => (Act::Create, None),
            ChangeAction::Removed => (Act::Delete, None),
            ChangeAction::Changed { field, from, to } => {
                (Act::Change, Some(Field { field, from, to }))
            }
        };
        match items.last_mut() {
            Some(last) if (last.kind, &last.name, last.action) == (kind, &name, action) => {
                last.fields.extend(field);
            }
            _ => items.push(Item {
                action,
                kind,
                name,
                fields: field.into_iter().collect(),
            }),
        }
    }
    let count = |action| items.iter().filter(|item| item.action == action).count();
    Changes {
        against,
        create: count(Act::Create),
        change: count(Act::Change),
        delete: count(Act::Delete),
        items,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> Model {
        elbow_native::parse(text, "a.yaml").0.unwrap()
    }

    #[test]
    fn fields_of_one_object_are_one_change() {
        let running = model(
            "targetGroups: [{name: a, protocol: TCP, port: 80}, {name: b, protocol: TCP, port: 80}]",
        );
        let planned = model(
            "targetGroups: [{name: a, protocol: TLS, port: 81}, {name: c, protocol: TCP, port: 80}]",
        );
        let changes = compare(&elbow_native::render(&running), &planned, "x".into());
        let items: Vec<_> = changes
            .items
            .iter()
            .map(|item| (item.action, &*item.name, item.fields.len()))
            .collect();
        assert_eq!(
            items,
            [
                (Act::Change, "a", 2),
                (Act::Delete, "b", 0),
                (Act::Create, "c", 0)
            ]
        );
        assert_eq!((changes.create, changes.change, changes.delete), (1, 1, 1));
    }
}
