//! JSON as a tree.

use serde_json::Value as Json;

use crate::{Key, Limits, NODE_BYTES, Node, Position, Problem, Value};

/// JSON as a tree, within the same limits. There is no text, so all positions are 0.
///
/// ```
/// use elbow_yaml::{Limits, Value, from_json};
///
/// let node = from_json(serde_json::json!(["true", true]), Limits::OBJECTS).map_err(|problem| problem.message)?;
/// let Value::Sequence(items) = node.value else { unreachable!() };
/// assert_eq!((items[0].plain, items[1].plain), (false, true));
/// # Ok::<(), String>(())
/// ```
pub fn from_json(json: Json, limits: Limits) -> Result<Node, Problem> {
    let mut left = limits.bytes;
    node_of(json, limits.depth, &mut left).map_err(|code| Problem {
        code,
        at: NOWHERE,
        message: match code {
            "too-deep" => format!("nested deeper than {} levels", limits.depth),
            _ => too_large(limits),
        },
    })
}

pub(crate) fn too_large(limits: Limits) -> String {
    format!(
        "the values take more than {} MiB of memory",
        limits.bytes >> 20
    )
}

const NOWHERE: Position = Position { line: 0, column: 0 };

/// The node, or the code of the problem; `left` is the number of bytes that are still allowed.
fn node_of(json: Json, depth: usize, left: &mut usize) -> Result<Node, &'static str> {
    let mut spend = |text: &str| -> Result<(), &'static str> {
        let rest = left.checked_sub(NODE_BYTES + text.len());
        *left = rest.ok_or("too-large")?;
        Ok(())
    };
    match &json {
        Json::String(text) => spend(text)?,
        Json::Object(fields) => {
            spend("")?;
            fields.keys().try_for_each(|name| spend(name))?;
        }
        _ => spend("")?,
    }
    let deeper = depth.checked_sub(1).ok_or("too-deep");
    let plain = !matches!(json, Json::String(_) | Json::Array(_) | Json::Object(_));
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Scalar(value.to_string()),
        Json::Number(number) => Value::Scalar(number.to_string()),
        Json::String(text) => Value::Scalar(text),
        Json::Array(items) => {
            let deeper = deeper?;
            let items = items.into_iter();
            let items = items.map(|item| node_of(item, deeper, left));
            Value::Sequence(items.collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => {
            let deeper = deeper?;
            let mut entries = Vec::with_capacity(fields.len());
            for (name, field) in fields {
                let key = Key { at: NOWHERE, name };
                entries.push((key, node_of(field, deeper, left)?));
            }
            Value::Mapping(entries)
        }
    };
    Ok(Node {
        at: NOWHERE,
        plain,
        value,
    })
}
