//! The annotations of a Service with its own load balancer, and the errors about them.

use std::collections::BTreeMap;

use elbow_model::Origin;
use elbow_model::diagnostic::{Diagnostic, Severity};

use super::at_origin;
use crate::account::{Finding, Resolved};
use crate::annotations::{Key, Row, Syntax, parse_bool, parse_list, parse_map};
use crate::auto_mode;
use crate::bounds::TooMuch;
use crate::context::Personality;
use crate::objects::{Meta, Service};
use crate::refusal::Refusals;
use crate::stack::Attributes;

/// Why a Service is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code, if it is not that of any error of an annotation or of a field.
    pub code: Option<&'static str>,
    /// The annotation's whole key, or the field's path.
    pub field: String,
    /// Whether the field is an annotation.
    pub annotation: bool,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Refused {
    /// An error about the value of an annotation.
    pub fn annotation(key: impl Into<Key>, message: impl Into<String>) -> Self {
        Self {
            code: None,
            field: key.into().as_str().to_owned(),
            annotation: true,
            message: message.into(),
            hint: None,
        }
    }

    /// An error about another field of the Service.
    pub fn field(path: &str, message: impl Into<String>) -> Self {
        Self {
            code: None,
            field: path.to_owned(),
            annotation: false,
            message: message.into(),
            hint: None,
        }
    }

    /// The error about a name in an annotation that the account does not have.
    pub(crate) fn finding(row: &'static Row, finding: Finding) -> Self {
        Self {
            code: Some(finding.code),
            hint: finding.hint,
            ..Self::annotation(row, finding.message)
        }
    }

    /// The error that the ports of the Service exceed a bound.
    pub(crate) fn too_much(bound: TooMuch) -> Self {
        Self::field("spec.ports", bound.message).hint(bound.hint)
    }

    /// The diagnostic, at the place of the annotation or the field, else of the Service.
    pub fn diagnose(self, service: &Service) -> Diagnostic {
        let meta = &service.meta;
        let written = meta
            .annotations
            .get(&self.field)
            .filter(|_| self.annotation);
        let at = written.map_or_else(|| service.place_of(&self.field), |one| one.at);
        let (code, field) = if self.annotation {
            (
                "invalid-annotation",
                format!("metadata.annotations.{}", self.field),
            )
        } else {
            ("invalid-service", self.field)
        };
        let mut found = Diagnostic::error(self.code.unwrap_or(code), self.message)
            .at(&*meta.place.file, at.line, at.column)
            .object(meta.path())
            .field(field);
        found.hint = self.hint;
        found
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The annotations of one Service.
#[derive(Debug)]
pub struct Reader<'a> {
    meta: &'a Meta,
    /// Whether annotations that EKS Auto Mode ignores count as absent.
    in_auto_mode: bool,
    /// The errors so far.
    pub(crate) refused: Refusals<Refused>,
}

impl<'a> Reader<'a> {
    /// A reader of the annotations of the Service.
    pub fn new(meta: &'a Meta) -> Self {
        Self {
            meta,
            in_auto_mode: false,
            refused: Refusals::default(),
        }
    }

    /// A reader of the annotations that the controller of the Service reads.
    pub(crate) fn of(service: &'a Service, personality: Personality) -> Self {
        Self {
            in_auto_mode: auto_mode::owns(service, personality),
            ..Self::new(&service.meta)
        }
    }

    /// The value as it is written.
    pub fn text(&self, key: impl Into<Key>) -> Option<&'a str> {
        let key = key.into();
        if self.in_auto_mode && auto_mode::ignores_of_service(key.as_str()) {
            return None;
        }
        let annotation = self.meta.annotations.get(key.as_str())?;
        Some(&annotation.value)
    }

    /// [`text`](Self::text), of an annotation with one of these syntaxes.
    fn text_as(&self, syntaxes: &[Syntax], key: &Key) -> Option<&'a str> {
        debug_assert!(syntaxes.contains(&key.row().syntax), "{}", key.as_str());
        self.text(key)
    }

    /// The origin of the first of the annotations that is there, else of the Service.
    pub fn origin(&self, rows: &[&'static Row]) -> Origin {
        let written = rows.iter().find(|row| self.text(**row).is_some());
        written.map_or_else(|| self.meta.origin(), |row| self.origin_of(*row))
    }

    /// The origin of the annotation, else of the Service.
    pub fn origin_of(&self, key: impl Into<Key>) -> Origin {
        let key = key.into();
        match self.meta.annotations.get(key.as_str()) {
            Some(annotation) => self.meta.origin_of(key.as_str(), annotation),
            None => self.meta.origin(),
        }
    }

    /// A boolean, as Go reads it.
    pub fn bool(&self, key: impl Into<Key>) -> Result<Option<bool>, Refused> {
        self.parsed(Syntax::Boolean, key, "true or false", parse_bool)
    }

    /// A whole number.
    pub fn int(&self, key: impl Into<Key>) -> Result<Option<i32>, Refused> {
        self.parsed(Syntax::Integer, key, "a whole number", |text| {
            text.parse().ok()
        })
    }

    /// A list; absent is empty.
    pub fn list(&self, key: impl Into<Key>) -> Vec<String> {
        // The provider reads some maps as lists.
        let text = self.text_as(&[Syntax::List, Syntax::Map], &key.into());
        text.map(parse_list).unwrap_or_default()
    }

    /// A map; absent is empty.
    pub fn map(&self, key: impl Into<Key>) -> Result<BTreeMap<String, String>, Refused> {
        let key = key.into();
        let Some(text) = self.text_as(&[Syntax::Map], &key) else {
            return Ok(BTreeMap::new());
        };
        parse_map(text).ok_or_else(|| {
            let message = format!("expected key=value pairs between commas, found {text:?}");
            Refused::annotation(key, message).hint("key=value,key=value")
        })
    }

    /// A map whose values have the origin of the annotation; absent is empty.
    pub fn attributes(&self, key: impl Into<Key>) -> Result<Attributes, Refused> {
        let key = key.into();
        let map = self.map(&key)?;
        if map.is_empty() {
            return Ok(Attributes::new());
        }
        Ok(at_origin(map, &self.origin_of(key)))
    }

    /// What was found in the account. A warning for each stand-in goes to `found`.
    pub(crate) fn resolved<T>(
        &self,
        row: &'static Row,
        resolved: Result<Resolved<T>, Finding>,
        found: &mut Vec<Diagnostic>,
    ) -> Result<Vec<T>, Refused> {
        let resolved = resolved.map_err(|finding| Refused::finding(row, finding))?;
        for stand_in in resolved.stand_ins {
            self.stand_in(row, Ok(stand_in), found)?;
        }
        Ok(resolved.found)
    }

    /// Reports a stand-in at the annotation, or refuses what nothing stands in for.
    pub(crate) fn stand_in(
        &self,
        row: &'static Row,
        finding: Result<Finding, Finding>,
        found: &mut Vec<Diagnostic>,
    ) -> Result<(), Refused> {
        let finding = finding.map_err(|finding| Refused::finding(row, finding))?;
        found.push(finding.at(Severity::Warning, &self.origin_of(row)));
        Ok(())
    }

    /// The plan of the Service if nothing refuses it, else the first error; the others go to `found`.
    pub(crate) fn finish<T>(
        &self,
        planned: Result<T, Refused>,
        service: &Service,
        found: &mut Vec<Diagnostic>,
    ) -> Result<T, Refused> {
        self.refused.finish(planned).map_err(|(first, others)| {
            found.extend(others.into_iter().map(|other| other.diagnose(service)));
            first
        })
    }

    fn parsed<T>(
        &self,
        syntax: Syntax,
        key: impl Into<Key>,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Refused> {
        let key = key.into();
        let Some(text) = self.text_as(&[syntax], &key) else {
            return Ok(None);
        };
        let wrong = || Refused::annotation(&key, format!("expected {expected}, found {text:?}"));
        parse(text).map(Some).ok_or_else(wrong)
    }
}
