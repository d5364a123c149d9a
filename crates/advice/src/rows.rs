//! The rows, by topic.

use elbow_model::diagnostic::Severity;

use crate::Topic;

mod consequence;
mod ingress;
mod model;
mod reading;
mod service;

const ERROR: &[Severity] = &[Severity::Error];
const WARNING: &[Severity] = &[Severity::Warning];
const NOTE: &[Severity] = &[Severity::Note];
const ERROR_OR_WARNING: &[Severity] = &[Severity::Error, Severity::Warning];
const ERROR_OR_NOTE: &[Severity] = &[Severity::Error, Severity::Note];
const WARNING_OR_NOTE: &[Severity] = &[Severity::Warning, Severity::Note];
const ANY: &[Severity] = &[Severity::Error, Severity::Warning, Severity::Note];

/// The order of the documentation.
pub(crate) const TOPICS: &[Topic] = &[
    Topic {
        name: "Files and the structure of objects",
        rows: reading::ROWS,
    },
    Topic {
        name: "Consequences of valid objects",
        rows: consequence::ROWS,
    },
    Topic {
        name: "Ingresses and Application Load Balancers",
        rows: ingress::ROWS,
    },
    Topic {
        name: "Services, Network and Classic Load Balancers",
        rows: service::ROWS,
    },
    Topic {
        name: "Values that AWS refuses",
        rows: model::ROWS,
    },
];
