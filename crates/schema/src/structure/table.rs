//! The published schemas, decoded one definition at a time when a value first needs it.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use super::shape::{Kind, Reader, Shape};

/// The files of `data/`, and who reads their kinds.
const FILES: &[(&str, Reader)] = &[
    (
        include_str!("../../data/kubernetes.schemas"),
        Reader::BuiltIn,
    ),
    (include_str!("../../data/aws.schemas"), Reader::Custom),
    (include_str!("../../data/eks.schemas"), Reader::Custom),
    (include_str!("../../data/minio.schemas"), Reader::Custom),
];

struct Definition {
    schema: &'static str,
    reader: Reader,
    shape: OnceLock<Shape>,
}

static DEFINITIONS: LazyLock<HashMap<&'static str, Definition>> = LazyLock::new(|| {
    let lines = FILES.iter().flat_map(|(text, reader)| {
        // The first line is the title.
        let lines = text.lines().skip(1);
        lines.filter_map(|line| Some((line.split_once('\t')?, *reader)))
    });
    let definition = |((name, schema), reader)| {
        let shape = OnceLock::new();
        let definition = Definition {
            schema,
            reader,
            shape,
        };
        (name, definition)
    };
    lines.map(definition).collect()
});

/// The definition of this name. The name of a kind is its `apiVersion` and `kind`, like `networking.k8s.io/v1/Ingress`.
pub(super) fn definition(name: &str) -> Option<&'static Shape> {
    let definition = DEFINITIONS.get(name)?;
    let shape = definition.shape.get_or_init(|| {
        let schema = serde_json::from_str(definition.schema).unwrap_or_default();
        Shape::decode(&schema, definition.reader)
    });
    Some(shape)
}

/// The shape that a reference leads to.
pub(super) fn resolved(shape: &'static Shape) -> &'static Shape {
    let mut shape = shape;
    while let Kind::Definition(name) = &shape.kind {
        match definition(name) {
            Some(next) => shape = next,
            None => break,
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line is JSON, and every reference leads to a definition.
    #[test]
    fn every_definition_can_be_decoded() {
        fn walk(shape: &Shape) {
            match &shape.kind {
                Kind::Definition(name) => {
                    assert!(DEFINITIONS.contains_key(&**name), "{name} is missing");
                }
                Kind::List(items) | Kind::Map(items) => walk(items),
                Kind::Object { fields, .. } => fields.iter().for_each(|(_, field)| walk(field)),
                _ => {}
            }
        }
        for (name, one) in &*DEFINITIONS {
            let schema: serde_json::Value = serde_json::from_str(one.schema).unwrap();
            assert!(schema.is_object(), "{name}");
            walk(&Shape::decode(&schema, one.reader));
        }
    }
}
