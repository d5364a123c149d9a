//! Good manifests with one fault each. What a fault does is for the API server to say: some make no difference, and then
//! elbow must see none.

use elbow_schema::Cursor;
use elbow_yaml::{Limits, parse_all};

use crate::combinations;
use crate::random::Random;
use crate::tree::{Path, Step, Tree, plain, quoted, text_of};
use crate::values;

/// A manifest with at most one change.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    /// `Service`.
    pub(crate) kind: String,
    /// The manifest that was changed, for example `Service/web`.
    pub(crate) original: String,
    /// What sort of change it is.
    pub(crate) fault: &'static str,
    /// The changed field, and what it became.
    pub(crate) change: String,
    pub(crate) tree: Tree,
    pub(crate) yaml: String,
}

impl Variant {
    fn new(original: &Tree, fault: &'static str, change: String, tree: Tree) -> Self {
        let kind = original.get("kind").and_then(Tree::text).unwrap();
        let name = original
            .get("metadata")
            .and_then(|metadata| metadata.get("name"));
        let name = name.and_then(Tree::text).unwrap();
        let yaml = tree.yaml();
        Self {
            kind: kind.to_owned(),
            original: format!("{kind}/{name}"),
            fault,
            change,
            tree,
            yaml,
        }
    }

    /// A manifest without a change.
    pub(crate) fn good(original: &Tree) -> Self {
        Self::new(original, "none", String::new(), original.clone())
    }

    /// What an exception is looked up by.
    pub(crate) fn name(&self) -> String {
        format!("{} {}: {}", self.original, self.fault, self.change)
    }
}

/// At most so many of the faults of one sort in one manifest, of those that any field can have.
const OF_A_SORT: usize = 16;

/// The variants of one manifest.
pub(crate) fn variants(original: &Tree, random: &mut Random) -> Vec<Variant> {
    let mut found = Vec::new();
    for (sort, make) in SORTS {
        let mut of_sort = Vec::new();
        for (path, value) in original.paths() {
            for (change, tree) in make(original, &path, value, random) {
                let change = format!("{} {change}", text_of(&path));
                of_sort.push(Variant::new(original, sort, change, tree));
            }
        }
        found.extend(random.sample(of_sort, OF_A_SORT));
    }
    for (path, _) in original.paths() {
        let Some(name) = field_of(&path) else {
            continue;
        };
        for value in values::of(name) {
            let change = format!("{} = {}", text_of(&path), value.yaml().trim());
            let tree = with(original, &path, value);
            found.push(Variant::new(original, "value", shorten(change), tree));
        }
    }
    for (change, tree) in combinations::of(original) {
        found.push(Variant::new(original, "combination", change, tree));
    }
    found.retain(|variant| variant.tree != *original && !is_elsewhere(&variant.yaml));
    found
}

/// Whether a manifest is in another namespace, which the API server does not have.
fn is_elsewhere(yaml: &str) -> bool {
    let (documents, _) = parse_all(yaml, Limits::OBJECTS);
    let Some(root) = documents.first().map(Cursor::root) else {
        return false;
    };
    let metadata = root.get("metadata");
    let namespace = metadata.text_of("namespace").unwrap_or("default");
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    namespace != "default" && !namespace.is_empty() && namespace.chars().all(is_name)
}

fn shorten(text: String) -> String {
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…({})", &text[..end], text.len()),
        None => text,
    }
}

/// The name of the field, or of the field whose item it is.
fn field_of(path: &[Step]) -> Option<&str> {
    path.iter().rev().find_map(|step| match step {
        Step::Field(name) => Some(&**name),
        Step::Item(_) => None,
    })
}

fn with(original: &Tree, path: &[Step], value: Tree) -> Tree {
    let mut tree = original.clone();
    tree.set(path, value);
    tree
}

type Make = fn(&Tree, &Path, &Tree, &mut Random) -> Vec<(String, Tree)>;

const SORTS: &[(&str, Make)] = &[
    ("removed field", removed),
    ("null", null),
    ("wrong type", wrong_type),
    ("number or text", number_or_text),
    ("YAML 1.1", yaml_1_1),
    ("unknown field", unknown),
    ("misplaced field", misplaced),
    ("repeated field", repeated),
    ("repeated item", repeated_item),
    ("empty", empty),
];

fn removed(original: &Tree, path: &Path, _: &Tree, _: &mut Random) -> Vec<(String, Tree)> {
    let mut tree = original.clone();
    tree.remove(path);
    vec![("removed".to_owned(), tree)]
}

fn null(original: &Tree, path: &Path, _: &Tree, _: &mut Random) -> Vec<(String, Tree)> {
    vec![("null".to_owned(), with(original, path, plain("null")))]
}

fn wrong_type(
    original: &Tree,
    path: &Path,
    value: &Tree,
    random: &mut Random,
) -> Vec<(String, Tree)> {
    let others = match value {
        Tree::Plain(_) | Tree::Quoted(_) => vec![
            Tree::List(vec![value.clone()]),
            Tree::Map(vec![("value".to_owned(), value.clone())]),
            Tree::List(Vec::new()),
            Tree::Map(Vec::new()),
        ],
        Tree::List(items) => vec![
            items.first().cloned().unwrap_or_else(|| quoted("one")),
            quoted("one, two"),
            Tree::Map(vec![("one".to_owned(), quoted("1"))]),
            Tree::List(vec![value.clone()]),
            plain("true"),
        ],
        Tree::Map(_) => vec![
            Tree::List(vec![value.clone()]),
            quoted("one=1"),
            plain("1"),
            plain("false"),
        ],
    };
    let other = random.pick(&others).clone();
    let change = format!("type {}", kind_of(&other));
    vec![(change, with(original, path, other))]
}

fn kind_of(value: &Tree) -> String {
    match value {
        Tree::List(items) => format!("list of {}", items.len()),
        Tree::Map(entries) => format!("mapping of {}", entries.len()),
        scalar => format!("scalar {}", scalar.yaml().trim()),
    }
}

fn number_or_text(
    original: &Tree,
    path: &Path,
    value: &Tree,
    random: &mut Random,
) -> Vec<(String, Tree)> {
    let other = match value {
        Tree::Plain(text) if text.parse::<i64>().is_ok() => random
            .pick(&[
                quoted(text),
                plain(&format!("{text}.5")),
                plain(&format!("{text}.0")),
                quoted("http"),
                plain("-1"),
                plain("4294967296"),
                plain("99999999999999999999"),
                plain("true"),
            ])
            .clone(),
        Tree::Plain(text) if ["true", "false"].contains(&&**text) => random
            .pick(&[quoted(text), plain("1"), plain("maybe"), quoted("")])
            .clone(),
        Tree::Plain(_) | Tree::Quoted(_) => random
            .pick(&[
                plain("5"),
                plain("1.5"),
                plain("true"),
                plain("-0"),
                plain("12345678901234567890"),
            ])
            .clone(),
        _ => return Vec::new(),
    };
    let change = format!("= {}", other.yaml().trim());
    vec![(change, with(original, path, other))]
}

/// What YAML 1.1 reads as something else than a string, and what it does not.
const WORDS: &[&str] = &[
    "yes",
    "no",
    "on",
    "off",
    "y",
    "n",
    "Yes",
    "NO",
    "True",
    "TRUE",
    "tRue",
    "~",
    "Null",
    "0777",
    "0o17",
    "0x1F",
    "0b11",
    "1_000",
    "+5",
    "1e3",
    "1.e3",
    ".5",
    "5.",
    ".inf",
    ".NaN",
    "1:30",
    "2001-01-01",
    "2001-01-01T00:00:00Z",
    "08",
    "0.0.0.0",
    "1.2.3",
    "--",
    "=",
    "!!str 5",
    "!!int \"5\"",
    "!!str true",
    "!!bool \"true\"",
    "!!float 5",
    "!!null \"\"",
    "!!binary aGk=",
    "'5'",
    "'true'",
    "|-\n    5",
    ">-\n    true",
    "!local 5",
];

fn yaml_1_1(
    original: &Tree,
    path: &Path,
    value: &Tree,
    random: &mut Random,
) -> Vec<(String, Tree)> {
    let (Tree::Plain(_) | Tree::Quoted(_)) = value else {
        return Vec::new();
    };
    let word = random.pick(WORDS);
    vec![(format!("= {word}"), with(original, path, plain(word)))]
}

fn unknown(original: &Tree, path: &Path, value: &Tree, random: &mut Random) -> Vec<(String, Tree)> {
    let Some((Step::Field(name), above)) = path.split_last() else {
        return Vec::new();
    };
    let mut first = name.chars();
    let upper = first
        .next()
        .map(|c| c.to_ascii_uppercase().to_string() + first.as_str());
    let others = [
        format!("{name}s"),
        name[..name.len() - 1].to_owned(),
        upper.unwrap_or_default(),
        name.to_lowercase(),
        format!("x-{name}"),
    ];
    let other = random.pick(&others).clone();
    let mut tree = original.clone();
    tree.remove(path);
    let mut to = above.to_vec();
    to.push(Step::Field(other.clone()));
    let set_already = tree.at_mut(&to).is_some();
    if other.is_empty() || other == *name || set_already {
        return Vec::new();
    }
    tree.set(&to, value.clone());
    vec![(format!("called {other}"), tree)]
}

fn misplaced(
    original: &Tree,
    path: &Path,
    value: &Tree,
    random: &mut Random,
) -> Vec<(String, Tree)> {
    let Some((Step::Field(name), above)) = path.split_last() else {
        return Vec::new();
    };
    let up: Path = above
        .iter()
        .take(above.len().saturating_sub(1))
        .cloned()
        .collect();
    let places = [
        up,
        Vec::new(),
        vec![Step::Field("metadata".into())],
        vec![Step::Field("spec".into())],
    ];
    let place = random.pick(&places);
    let mut tree = original.clone();
    if place.as_slice() == above || path.starts_with(place) && place.len() == path.len() {
        return Vec::new();
    }
    tree.remove(path);
    let Some(Tree::Map(entries)) = tree.at_mut(place) else {
        return Vec::new();
    };
    if entries.iter().any(|(key, _)| key == name) {
        return Vec::new();
    }
    entries.push((name.clone(), value.clone()));
    vec![(format!("moved to {:?}", text_of(place)), tree)]
}

fn repeated(original: &Tree, path: &Path, value: &Tree, _: &mut Random) -> Vec<(String, Tree)> {
    let Some((Step::Field(name), above)) = path.split_last() else {
        return Vec::new();
    };
    let mut tree = original.clone();
    let Some(Tree::Map(entries)) = tree.at_mut(above) else {
        return Vec::new();
    };
    entries.push((name.clone(), value.clone()));
    vec![("twice".to_owned(), tree)]
}

fn repeated_item(
    original: &Tree,
    path: &Path,
    value: &Tree,
    _: &mut Random,
) -> Vec<(String, Tree)> {
    let Some((Step::Item(_), above)) = path.split_last() else {
        return Vec::new();
    };
    let mut tree = original.clone();
    let Some(Tree::List(items)) = tree.at_mut(above) else {
        return Vec::new();
    };
    items.push(value.clone());
    vec![("once more".to_owned(), tree)]
}

fn empty(original: &Tree, path: &Path, value: &Tree, _: &mut Random) -> Vec<(String, Tree)> {
    let other = match value {
        Tree::Plain(_) | Tree::Quoted(_) => quoted(""),
        Tree::List(_) => Tree::List(Vec::new()),
        Tree::Map(_) => Tree::Map(Vec::new()),
    };
    vec![("empty".to_owned(), with(original, path, other))]
}
