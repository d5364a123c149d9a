//! Properties of all manifests: the order of documents does not matter, and no text makes the translation panic.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use elbow_manifest::cluster::{Change, Cluster};
use elbow_manifest::{Context, Object, plan, read, translate};
use elbow_native::render;
use elbow_yaml::{Node, Value};
use proptest::prelude::*;

/// The objects and the environment of one recorded case, or of a folder of `config/eks`.
struct Case {
    name: String,
    objects: Vec<Object>,
    context: Context,
}

static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut cases = Vec::new();
    for set in ["lbc", "clb", "tenant"] {
        let set = root.join("tests/golden").join(set);
        let context = context(&set.join("environment.yaml"));
        for folder in folders(&set) {
            cases.push(case(&folder, context.clone()));
        }
    }
    for folder in folders(&root.join("config/eks")) {
        cases.push(case(&folder, context(&folder.join("environment.yaml"))));
    }
    assert!(cases.len() > 150, "{} cases", cases.len());
    cases
});

fn folders(of: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(of)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    all.sort();
    all
}

fn context(file: &Path) -> Context {
    let text = fs::read_to_string(file).unwrap_or_default();
    Context::parse(&text, "environment.yaml").0
}

fn case(folder: &Path, context: Context) -> Case {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .filter(|path| !path.ends_with("environment.yaml"))
        .collect();
    files.sort();
    let texts = files.iter().map(|path| {
        let text = fs::read_to_string(path).unwrap();
        read(&text, &path.display().to_string()).0
    });
    Case {
        name: folder.display().to_string(),
        objects: texts.flatten().collect(),
        context,
    }
}

/// All results for `objects`, as text.
fn everything(objects: &[Object], context: &Context) -> String {
    let planned = plan(objects, context);
    let stacks: Vec<_> = planned.stacks.iter().map(|one| one.to_json()).collect();
    let (model, found) = translate(objects, context);
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    let stacks = serde_json::to_string_pretty(&stacks).unwrap();
    let model = serde_json::to_string_pretty(&render(&model)).unwrap();
    format!("{stacks}\n{model}\n{}", found.join("\n"))
}

/// `objects` in an order that depends on `seed`.
fn shuffled(objects: &[Object], seed: u64) -> Vec<Object> {
    let mut keyed: Vec<(u64, &Object)> = (0_u64..)
        .zip(objects)
        .map(|(n, object)| {
            // SplitMix64.
            let mut x = seed.wrapping_add((n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (x ^ (x >> 31), object)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed
        .into_iter()
        .map(|(_, object)| object.clone())
        .collect()
}

/// Values that replace a part of an object.
const ODDITIES: &[&str] = &[
    "",
    "0",
    "-1",
    "65536",
    "99999999999999999999",
    "true",
    "null",
    "*",
    "/",
    "[",
    "{}",
    "[{\"HTTP\":70000}]",
    "{\"type\":\"forward\"}",
    "a=b,c",
    "a=,=b",
    "\\",
    ",,,",
    "::/0",
    "10.0.0.0/33",
    "arn:aws:acm:",
    "ip",
    "internal",
    "\u{0}",
    "\u{1f600}",
    "^(((((((((a*)*)*)*)*)*)*)*)*)$",
];

/// Replaces the `n`th part of `node` with an odd value; 0 is the whole node. Returns what is left of `n`.
fn disturb(node: &mut Node, n: usize, oddity: usize) -> Option<usize> {
    let Some(mut n) = n.checked_sub(1) else {
        node.value = match oddity {
            0 => Value::Null,
            1 => Value::Sequence(Vec::new()),
            2 => Value::Mapping(Vec::new()),
            n => Value::Scalar(ODDITIES[n % ODDITIES.len()].to_owned()),
        };
        return None;
    };
    match &mut node.value {
        Value::Null | Value::Scalar(_) => {}
        Value::Sequence(items) => {
            for item in items {
                n = disturb(item, n, oddity)?;
            }
        }
        Value::Mapping(fields) => {
            for (_, value) in fields {
                n = disturb(value, n, oddity)?;
            }
        }
    }
    Some(n)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_documents_does_not_matter(case in 0..CASES.len(), seed: u64) {
        let Case { name, objects, context } = &CASES[case];
        let shuffled = shuffled(objects, seed);
        prop_assert_eq!(everything(objects, context), everything(&shuffled, context), "{}", name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]

    #[test]
    fn no_manifest_makes_the_translation_panic(
        case in 0..CASES.len(),
        disturbances in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..120, 0_usize..40), 1..4),
    ) {
        let Case { objects, context, .. } = &CASES[case];
        let mut objects = objects.clone();
        for (object, n, oddity) in disturbances {
            if !objects.is_empty() {
                let object = object.index(objects.len());
                disturb(&mut objects[object].node, n, oddity);
            }
        }
        everything(&objects, context);
        let mut cluster = Cluster::new(context.clone());
        for object in objects {
            cluster.take(Change::Set(object));
        }
        cluster.reconcile();
        cluster.model();
    }
}
