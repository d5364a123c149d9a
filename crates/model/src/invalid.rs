//! What is wrong with a value, and which of its fields is at fault.

use std::cell::RefCell;
use std::fmt;

/// A fault that a constructor found in what it was given.
///
/// ```
/// use elbow_model::{TargetGroup, TargetGroupSpec};
///
/// let spec = TargetGroupSpec {
///     name: Some("pods".into()),
///     protocol: Some("HTTP".into()),
///     port: Some(70_000),
///     ..TargetGroupSpec::default()
/// };
/// let faults = TargetGroup::new(&spec).value.unwrap_err();
/// assert_eq!(faults[0].to_string(), "port: 70000 is not from 1 to 65535");
/// assert_eq!(faults[0].code, "out-of-range");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invalid {
    /// The field at fault, relative to the value that is built. A field that is missing is named, too.
    pub field: FieldPath,
    /// Whether the name of the field is wrong, and not what the field holds.
    pub is_name: bool,
    /// Stable, kebab-case: the code of the diagnostic.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where a value that may exist once stands for the first time; this one is the second.
    pub first: Option<FieldPath>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.steps().is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.reason)?;
        match &self.first {
            Some(first) => write!(f, " by {first}"),
            None => Ok(()),
        }
    }
}

/// What a constructor made, and what it found on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Checked<T> {
    /// The value, or everything that is wrong with it.
    pub value: Result<T, Vec<Invalid>>,
    /// What AWS accepts and elbow does not serve, or serves in another way than AWS would.
    pub warnings: Vec<Invalid>,
}

/// The way from a value to one of its fields, in the words of the ELBv2 API in camelCase, e.g.
/// `listeners[0].rules[2].conditions[1]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Step>);

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A field of a structure.
    Field(&'static str),
    /// An item of a list, from 0.
    Index(usize),
    /// An entry of a map whose keys are free, e.g. an attribute.
    Key(String),
}

impl FieldPath {
    /// From the outermost step to the innermost.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }
}

impl From<Vec<Step>> for FieldPath {
    fn from(steps: Vec<Step>) -> Self {
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            let dot = if i == 0 { "" } else { "." };
            match step {
                Step::Field(name) => write!(f, "{dot}{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                // A key with dots of its own is one step.
                Step::Key(key) if key.contains('.') && i > 0 => write!(f, "[{key}]")?,
                Step::Key(key) => write!(f, "{dot}{key}")?,
            }
        }
        Ok(())
    }
}

/// Collects faults and warnings while a value is built.
#[derive(Default)]
pub(crate) struct Findings {
    errors: RefCell<Vec<Invalid>>,
    warnings: RefCell<Vec<Invalid>>,
}

impl Findings {
    /// Runs `build` at the root of a value.
    pub(crate) fn of<T>(build: impl FnOnce(&Place<'_>) -> Option<T>) -> Checked<T> {
        let findings = Self::default();
        let value = build(&Place::root(&findings));
        let errors = findings.errors.into_inner();
        Checked {
            value: match value {
                Some(value) if errors.is_empty() => Ok(value),
                _ => Err(errors),
            },
            warnings: findings.warnings.into_inner(),
        }
    }
}

/// A field of the value that is being built. Cheap to make: its path is written out only for a finding.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    outer: Option<&'a Self>,
    step: Here<'a>,
    findings: &'a Findings,
}

#[derive(Clone, Copy)]
enum Here<'a> {
    Root,
    Field(&'static str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Place<'a> {
    fn root(findings: &'a Findings) -> Self {
        Self {
            outer: None,
            step: Here::Root,
            findings,
        }
    }

    fn inner<'b>(&'b self, step: Here<'b>) -> Place<'b> {
        Place {
            outer: Some(self),
            step,
            findings: self.findings,
        }
    }

    pub(crate) fn field<'b>(&'b self, name: &'static str) -> Place<'b> {
        self.inner(Here::Field(name))
    }

    pub(crate) fn index<'b>(&'b self, index: usize) -> Place<'b> {
        self.inner(Here::Index(index))
    }

    pub(crate) fn key<'b>(&'b self, key: &'b str) -> Place<'b> {
        self.inner(Here::Key(key))
    }

    pub(crate) fn path(&self) -> FieldPath {
        let mut steps = Vec::new();
        let mut place = Some(self);
        while let Some(here) = place {
            match here.step {
                Here::Root => {}
                Here::Field(name) => steps.push(Step::Field(name)),
                Here::Index(index) => steps.push(Step::Index(index)),
                Here::Key(key) => steps.push(Step::Key(key.to_owned())),
            }
            place = here.outer;
        }
        steps.reverse();
        FieldPath(steps)
    }

    fn finding(&self, code: &'static str, reason: String) -> Invalid {
        Invalid {
            field: self.path(),
            is_name: false,
            code,
            reason,
            hint: None,
            first: None,
        }
    }

    fn push(&self, invalid: Invalid) {
        self.findings.errors.borrow_mut().push(invalid);
    }

    /// Reports an error about what this field holds.
    pub(crate) fn error(&self, code: &'static str, reason: impl Into<String>) {
        self.push(self.finding(code, reason.into()));
    }

    /// Reports an error, with what to do about it if that is known.
    pub(crate) fn error_with(
        &self,
        code: &'static str,
        reason: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        let mut invalid = self.finding(code, reason.into());
        invalid.hint = hint.into();
        self.push(invalid);
    }

    /// Reports an error about the name of this field.
    pub(crate) fn wrong_name(
        &self,
        code: &'static str,
        reason: impl Into<String>,
        hint: Option<String>,
    ) {
        let mut invalid = self.finding(code, reason.into());
        (invalid.is_name, invalid.hint) = (true, hint);
        self.push(invalid);
    }

    /// Reports a value that stands for the second time.
    pub(crate) fn repeated(&self, code: &'static str, reason: String, first: FieldPath) {
        let mut invalid = self.finding(code, reason);
        invalid.first = Some(first);
        self.push(invalid);
    }

    /// Reports that the field `name` is missing here.
    pub(crate) fn missing(&self, name: &'static str) {
        let reason = format!("the field \"{name}\" is missing");
        self.field(name).error("missing-field", reason);
    }

    /// Reports something that AWS has and elbow does not serve; `what` is a sentence without "not supported".
    pub(crate) fn not_supported(&self, what: impl fmt::Display) {
        self.error("not-supported", format!("{what} not supported"));
    }

    /// Reports a warning about what this field holds.
    pub(crate) fn warn(&self, code: &'static str, reason: impl Into<String>) {
        let invalid = self.finding(code, reason.into());
        self.findings.warnings.borrow_mut().push(invalid);
    }
}
