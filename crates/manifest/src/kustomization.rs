//! The files that a kustomization names.

use elbow_yaml::{Limits, Node, Value, parse_all};

/// The longest path that is considered, in bytes.
const LONGEST: usize = 4096;

/// What a `kustomization.yaml` says about other files. Kustomize itself reads the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kustomization {
    /// Whether it is a component, which is only built as a part of others.
    pub is_component: bool,
    /// Every text in it that may be the path of a file or a folder, relative to its own folder.
    pub references: Vec<Reference>,
}

/// A text that may be a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The path as written.
    pub path: String,
    /// Whether it names manifests or another kustomization, and not for example a patch.
    pub is_resource: bool,
}

impl Kustomization {
    /// Reads the text of a `kustomization.yaml`. Every field counts that can name a file, in each version of Kustomize:
    /// the reader looks for what exists.
    ///
    /// ```
    /// use elbow_manifest::kustomization::Kustomization;
    ///
    /// let text = "resources: [../base]\nconfigMapGenerator:\n- {name: a, files: [key=a.txt]}\n";
    /// let read = Kustomization::read(text);
    /// let named = |path: &str| read.references.iter().find(|one| one.path == path);
    /// assert!(named("../base").is_some_and(|base| base.is_resource));
    /// assert!(named("a.txt").is_some_and(|file| !file.is_resource));
    /// assert!(!read.is_component);
    /// ```
    pub fn read(text: &str) -> Self {
        let (documents, _) = parse_all(text, Limits::FILE);
        let mut read = Self::default();
        for document in &documents {
            let Value::Mapping(fields) = &document.value else {
                continue;
            };
            for (key, field) in fields {
                let is_resource = matches!(&*key.name, "resources" | "bases" | "components");
                read.collect(field, is_resource);
                if let ("kind", Value::Scalar(kind)) = (&*key.name, &field.value) {
                    read.is_component |= kind == "Component";
                }
            }
        }
        read
    }

    fn collect(&mut self, node: &Node, is_resource: bool) {
        match &node.value {
            Value::Null => {}
            Value::Scalar(text) => {
                let after_key = text.split_once('=').map(|(_, path)| path);
                for path in [Some(&**text), after_key].into_iter().flatten() {
                    if is_path(path) {
                        self.references.push(Reference {
                            path: path.to_owned(),
                            is_resource,
                        });
                    }
                }
            }
            Value::Sequence(items) => {
                for item in items {
                    self.collect(item, is_resource);
                }
            }
            Value::Mapping(fields) => {
                for (_, field) in fields {
                    self.collect(field, is_resource);
                }
            }
        }
    }
}

/// Whether a text may be the relative path of a local file.
fn is_path(text: &str) -> bool {
    let is_short = !text.is_empty() && text.len() <= LONGEST;
    is_short && !text.starts_with('/') && !text.contains(['\n', '\0'])
}

/// The names that Kustomize gives its file.
pub const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn component_and_patches_are_known() {
        let text = "\
kind: Component
patches:
- path: p.yaml
- patch: |-
    - op: remove
resources: [https://example.com/x?ref=main, /etc/passwd, a.yaml]
";
        let read = Kustomization::read(text);
        assert!(read.is_component);
        let paths = |is_resource| {
            let of = read
                .references
                .iter()
                .filter(move |one| one.is_resource == is_resource);
            of.map(|one| &*one.path).collect::<Vec<_>>()
        };
        assert_eq!(
            paths(true),
            ["https://example.com/x?ref=main", "main", "a.yaml"]
        );
        assert!(paths(false).contains(&"p.yaml"));
        assert_eq!(Kustomization::read("{"), Kustomization::default());
    }
}
