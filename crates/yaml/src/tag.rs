//! Tags of scalars, as go-yaml resolves them.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_saphyr::granit_parser::Tag;

use crate::meaning::{Meaning, meaning};
use crate::{Position, Problem};

/// The text of a scalar with a tag, and whether it counts as one without quotes.
pub(crate) fn tagged<'a>(
    text: Cow<'a, str>,
    tag: &Tag,
    at: Position,
) -> Result<(Cow<'a, str>, bool), Problem> {
    let name = tag.suffix_in_namespace("tag:yaml.org,2002:");
    let name = name.as_deref().unwrap_or_default();
    let wrong = || Problem {
        code: "yaml-syntax",
        at,
        message: format!("\"{text}\" is no !!{name}"),
    };
    let fits = match (name, meaning(&text)) {
        ("binary", _) => {
            let encoded: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            let bytes = STANDARD.decode(encoded).map_err(|_| wrong())?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok((text.into(), false));
        }
        ("int", Meaning::Integer(_))
        | ("float", Meaning::Integer(_) | Meaning::Float(_))
        | ("bool", Meaning::Boolean(_))
        | ("null", Meaning::Null) => true,
        ("int" | "float" | "bool" | "null", _) => return Err(wrong()),
        // `!!str`, and the tags of other programs, whose values stay text.
        _ => false,
    };
    Ok((text, fits))
}
