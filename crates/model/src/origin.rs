//! Where a value was written, carried beside the value so that a diagnostic can point at it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::diagnostic::Diagnostic;

/// The place a value came from. What is unknown is empty or 0.
///
/// A file gives its name, line and column. An object of a live cluster, or a resource that an API call changes, is
/// in no file: its `object` and `field` are the place. Cloning copies pointers and allocates nothing.
///
/// ```
/// use elbow_model::Origin;
/// use elbow_model::diagnostic::Diagnostic;
///
/// let origin = Origin {
///     file: "web.yaml".into(),
///     line: 7,
///     column: 5,
///     object: "Ingress/default/web".into(),
///     field: "metadata.annotations.alb.ingress.kubernetes.io/scheme".into(),
/// };
/// let found = origin.place(Diagnostic::error("unknown-value", "scheme is \"public\""));
/// assert_eq!(found.to_string(), "error[unknown-value] web.yaml:7:5: scheme is \"public\"");
/// assert_eq!(found.object, "Ingress/default/web");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The object as `kind/namespace/name`, or `kind/name` outside namespaces.
    pub object: Arc<str>,
    /// The path of the field in the object, for example `metadata.annotations.KEY`. A diagnostic that is placed at an
    /// origin without a field keeps its own.
    pub field: Arc<str>,
}

impl Origin {
    /// Points `diagnostic` at this place. Its object and field stay where the origin names none.
    #[must_use]
    pub fn place(&self, mut diagnostic: Diagnostic) -> Diagnostic {
        diagnostic = diagnostic.at(&*self.file, self.line, self.column);
        if !self.object.is_empty() {
            diagnostic.object = self.object.to_string();
        }
        if !self.field.is_empty() {
            diagnostic.field = self.field.to_string();
        }
        diagnostic
    }
}

/// A value and the place it came from. It dereferences to the value and serializes as the value alone; two are equal
/// when value and place are.
///
/// ```
/// use elbow_model::{At, Origin};
///
/// let origin = Origin { file: "web.yaml".into(), line: 3, column: 9, ..Origin::default() };
/// let port = At::new("443", origin);
/// assert_eq!(port.len(), 3);
/// let port = port.map(|text| text.parse::<u16>().unwrap());
/// assert_eq!((port.value, port.origin.line), (443, 3));
/// assert_eq!(serde_json::to_string(&port)?, "443");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub origin: Origin,
}

impl<T> At<T> {
    /// `value`, which was written at `origin`.
    pub fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    /// Another value from the same place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At {
            value: change(self.value),
            origin: self.origin,
        }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Display> fmt::Display for At<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: Serialize> Serialize for At<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_without_object_and_field_keeps_those_of_the_diagnostic() {
        let origin = Origin {
            file: "a.yaml".into(),
            line: 2,
            column: 1,
            ..Origin::default()
        };
        let found = Diagnostic::error("out-of-range", "port is 0")
            .object("Service/a/b")
            .field("spec.ports[0].port");
        let placed = origin.place(found.clone());
        assert_eq!(placed, found.at("a.yaml", 2, 1));
    }

    #[test]
    fn values_from_different_places_differ() {
        let here = At::new(1, Origin::default());
        let there = At::new(
            1,
            Origin {
                line: 2,
                ..Origin::default()
            },
        );
        assert_eq!(*here, *there);
        assert_ne!(here, there);
    }
}
