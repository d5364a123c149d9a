//! What is wrong with an input, and where: one line for a person, one object for a machine.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The input is refused.
    Error,
    /// The input is taken, but something in it will not do what it says.
    Warning,
    /// Worth knowing.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One finding. Serialized it is the object that `-o json` prints; fields that are not known are
/// left out.
///
/// ```
/// use elbow_model::diagnostic::Diagnostic;
///
/// let found = Diagnostic::error("unknown-target-group", "forwards to \"minoi\"")
///     .at("alb.yaml", 23, 31)
///     .hint("did you mean \"minio\"?");
/// assert_eq!(
///     found.to_string(),
///     "error[unknown-target-group] alb.yaml:23:31: forwards to \"minoi\"\n  \
///      hint: did you mean \"minio\"?",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable, kebab-case.
    pub code: &'static str,
    /// As the user named it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// From 1; 0: not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub line: u32,
    /// In characters, from 1; 0: not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub column: u32,
    /// `kind/namespace/name`, or `kind/name` where there are no namespaces.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// Path of the field, e.g. `loadBalancers[0].listeners[1].port`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message)
    }

    /// A warning without a place.
    pub fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message)
    }

    /// A finding without a place.
    pub fn new(severity: Severity, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            file: String::new(),
            line: 0,
            column: 0,
            object: String::new(),
            field: String::new(),
            message: message.into(),
            hint: None,
        }
    }

    /// Where it is, from 1; a line of 0 stands for the whole file.
    #[must_use]
    pub fn at(mut self, file: impl Into<String>, line: u32, column: u32) -> Self {
        self.file = file.into();
        self.line = line;
        self.column = column;
        self
    }

    /// Which object it is about.
    #[must_use]
    pub fn object(mut self, object: impl Into<String>) -> Self {
        self.object = object.into();
        self
    }

    /// Which field it is about.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = field.into();
        self
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether the input is refused because of it.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.severity, self.code)?;
        if !self.file.is_empty() {
            write!(f, " {}", self.file)?;
        }
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        } else if !self.object.is_empty() {
            // An object of a live cluster stands in no file, and one that Kustomize or Helm built has no line there: its
            // name and the field are the place.
            write!(f, " {}", self.object)?;
            if !self.field.is_empty() {
                write!(f, " {}", self.field)?;
            }
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_gets_every_known_field() {
        let found = Diagnostic::error("out-of-range", "port is 0")
            .at("a.yaml", 3, 9)
            .object("loadBalancer/a")
            .field("loadBalancers[0].listeners[0].port")
            .hint("1-65535");
        let expected = concat!(
            r#"{"severity":"error","code":"out-of-range","file":"a.yaml","line":3,"column":9,"#,
            r#""object":"loadBalancer/a","field":"loadBalancers[0].listeners[0].port","#,
            r#""message":"port is 0","hint":"1-65535"}"#
        );
        assert_eq!(serde_json::to_string(&found).unwrap(), expected);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let found = Diagnostic::warning("no-effect", "x");
        let expected = r#"{"severity":"warning","code":"no-effect","message":"x"}"#;
        assert_eq!(serde_json::to_string(&found).unwrap(), expected);
        assert_eq!(found.to_string(), "warning[no-effect]: x");
        let found = found.at("a.yaml", 0, 0);
        assert_eq!(found.to_string(), "warning[no-effect] a.yaml: x");
        assert_eq!(
            found.object("Service/a/b").to_string(),
            "warning[no-effect] a.yaml Service/a/b: x"
        );
    }

    /// Where there is no file, the object and its field are the place.
    #[test]
    fn an_object_of_a_live_cluster_is_named() {
        let found = Diagnostic::error("invalid-annotation", "no").object("Ingress/a/b");
        assert_eq!(
            found.to_string(),
            "error[invalid-annotation] Ingress/a/b: no"
        );
        assert_eq!(
            found.field("metadata.annotations.x").to_string(),
            "error[invalid-annotation] Ingress/a/b metadata.annotations.x: no"
        );
    }
}
