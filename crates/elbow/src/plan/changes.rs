//! What the manifests would change at a running elbow.

use elbow_model::{Change, ChangeAction, Model, diff_rendered, file};
use serde::Serialize;
use serde_json::Value;

/// What would change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Changes {
    /// The admin address of the elbow that was asked.
    pub(crate) against: String,
    /// How many objects come.
    pub(crate) create: usize,
    /// How many stay and become different.
    pub(crate) change: usize,
    /// How many go.
    pub(crate) delete: usize,
    pub(crate) items: Vec<Item>,
}

/// What would happen to one object.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Item {
    pub(crate) action: Act,
    /// `load balancer`, `listener`, `rule`, `target group`, `target`, `certificate`.
    pub(crate) kind: &'static str,
    /// `web`, `web:443`, `web:443/10`, `pods/10.0.0.1:80`.
    pub(crate) name: String,
    /// Of a change.
    pub(crate) fields: Vec<Field>,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Act {
    Create,
    Change,
    Delete,
}

/// A field that gets another value; an empty text: none.
#[derive(Debug, Serialize)]
pub(crate) struct Field {
    pub(crate) field: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// From what runs, as `/config` shows it, to what is planned.
pub(crate) fn compare(running: &Value, planned: &Model, against: String) -> Changes {
    let mut items: Vec<Item> = Vec::new();
    for Change { kind, name, action } in diff_rendered(running, &file::render(planned)) {
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
        file::parse(text, "a.yaml").0.unwrap()
    }

    #[test]
    fn fields_of_one_object_are_one_change() {
        let running = model(
            "targetGroups: [{name: a, protocol: TCP, port: 80}, {name: b, protocol: TCP, port: 80}]",
        );
        let planned = model(
            "targetGroups: [{name: a, protocol: TLS, port: 81}, {name: c, protocol: TCP, port: 80}]",
        );
        let changes = compare(&file::render(&running), &planned, "x".into());
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
