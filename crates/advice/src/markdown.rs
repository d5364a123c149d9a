//! The catalogue as a page of the documentation.

use std::fmt::{self, Write};

use crate::{Advice, Example, TOPICS};

const HEAD: &str = "# Advice

Every diagnostic of `elbow check`, `plan`, `run`, `demo` and the events of a cluster has a code in brackets, such as `error[unknown-port]`.
This page lists the codes with their causes, consequences and remedies. `elbow check -o json` links to the pages of AWS and Kubernetes in `page`.

An error refuses the object, and the rest serves. A warning says that something will not do what it seems to. A note is worth knowing.

This file is generated from `crates/advice`: `UPDATE_SNAPSHOTS=1 cargo test -p elbow-advice`.
";

/// The text of `docs/advice.md`.
pub fn markdown() -> String {
    let mut text = HEAD.to_owned();
    for topic in TOPICS {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {}\n", topic.name);
        for advice in topic.rows {
            let _ = section(advice, &mut text);
        }
    }
    text
}

fn section(advice: &Advice, text: &mut String) -> fmt::Result {
    let severities: Vec<String> = advice.severities.iter().map(ToString::to_string).collect();
    write!(text, "\n### {}\n\n", advice.code)?;
    write!(
        text,
        "{}: {}\n\n",
        capital(&severities.join(" or ")),
        advice.cause
    )?;
    writeln!(text, "- Consequence: {}", advice.consequence)?;
    writeln!(text, "- Remedy: {}", advice.remedy)?;
    match advice.url() {
        Some(url) => writeln!(text, "- Page: <{url}>")?,
        None if advice.page.is_empty() => {}
        None => writeln!(text, "- Page: [{0}]({0})", advice.page)?,
    }
    if advice.example == Example::File {
        let code = advice.code;
        writeln!(
            text,
            "- Example: [{code}.yaml](../crates/advice/examples/{code}.yaml)"
        )?;
    }
    Ok(())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}
