//! Which module depends on which, and the circles among those that stand side by side.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Crate, ModulePath};

/// The crate's own file among its modules.
const ROOT: &str = "the crate's root";
/// Re-exports that a path may go through.
const MAX_EXPORTS: usize = 32;

/// The modules of one folder: for each, those that it depends on, with the path that says so.
type Edges = BTreeMap<String, BTreeMap<String, String>>;

/// Every circle, in words.
pub(super) fn circles(read: &Crate) -> Vec<String> {
    let mut folders: BTreeMap<ModulePath, Edges> = BTreeMap::new();
    for (from, module) in &read.modules {
        for path in &module.paths {
            let Some(to) = resolve(read, from, path, MAX_EXPORTS) else {
                continue;
            };
            let common = from
                .iter()
                .zip(&to)
                .take_while(|(one, other)| one == other)
                .count();
            let (one, other) = match (from.get(common), to.get(common)) {
                (Some(one), Some(other)) => (&**one, &**other),
                (Some(one), None) if common == 0 => (&**one, ROOT),
                (None, Some(other)) if common == 0 => (ROOT, &**other),
                _ => continue,
            };
            let edges = folders.entry(from[..common].to_vec()).or_default();
            let because = format!("{} uses {}", name(from), path.join("::"));
            let edges = edges.entry(one.to_owned()).or_default();
            edges.entry(other.to_owned()).or_insert(because);
        }
    }
    folders.values().flat_map(circles_of).collect()
}

fn name(module: &[String]) -> String {
    if module.is_empty() {
        ROOT.to_owned()
    } else {
        module.join("::")
    }
}

/// The module that defines what `path`, written in the module `from`, leads to; `None` for other crates.
fn resolve(read: &Crate, from: &[String], path: &[String], exports: usize) -> Option<ModulePath> {
    let exports = exports.checked_sub(1)?;
    let (first, mut rest) = path.split_first()?;
    let mut at = match &**first {
        "crate" => Vec::new(),
        "self" => from.to_vec(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        name => {
            let here = &read.modules[from];
            let is_child = read.modules.contains_key(&below(from, name));
            if !is_child && !here.imports.contains_key(name) && !here.items.contains(name) {
                return None;
            }
            rest = path;
            from.to_vec()
        }
    };
    while let Some((name, after)) = rest.split_first() {
        rest = after;
        let here = &read.modules[&at];
        let child = below(&at, name);
        if name == "super" {
            at.pop()?;
        } else if read.modules.contains_key(&child) {
            at = child;
        } else if let Some(import) = here.imports.get(name) {
            return resolve(read, &at, &[import, rest].concat(), exports);
        } else if here.items.contains(name) {
            return Some(at);
        } else {
            let mut globs = here
                .globs
                .iter()
                .filter_map(|glob| resolve(read, &at, glob, exports));
            let defines = |module: &ModulePath| {
                let module = &read.modules[module];
                module.items.contains(name) || module.imports.contains_key(name)
            };
            return match globs.find(defines) {
                Some(module) => resolve(
                    read,
                    &module,
                    &[&["self".to_owned(), name.clone()], rest].concat(),
                    exports,
                ),
                // A macro that is exported stands in the root, wherever it is defined.
                None => Some(at).filter(|at| !at.is_empty()),
            };
        }
    }
    Some(at)
}

fn below(module: &[String], name: &str) -> ModulePath {
    [module, &[name.to_owned()]].concat()
}

/// One circle for each set of modules that all depend on one another.
fn circles_of(edges: &Edges) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut circles = Vec::new();
    for start in edges.keys() {
        if told.contains(start) {
            continue;
        }
        let Some(circle) = shortest(edges, start) else {
            continue;
        };
        let mutual = reached(edges, start);
        let mutual = mutual
            .into_iter()
            .filter(|other| reached(edges, other).contains(start));
        let mutual: BTreeSet<String> = mutual.collect();
        let steps = circle.windows(2).map(|step| &*edges[&step[0]][&step[1]]);
        let steps: Vec<&str> = steps.collect();
        let names: Vec<&str> = mutual.iter().map(String::as_str).collect();
        circles.push(format!(
            "{} depend on each other: {}",
            names.join(", "),
            steps.join("; ")
        ));
        told.extend(mutual);
    }
    circles
}

/// Everything that `start` depends on, directly or not.
fn reached(edges: &Edges, start: &str) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut open = vec![start.to_owned()];
    while let Some(module) = open.pop() {
        for next in edges.get(&module).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    seen
}

/// The shortest way from `start` back to it.
fn shortest(edges: &Edges, start: &str) -> Option<Vec<String>> {
    let mut seen = BTreeSet::new();
    let mut open = VecDeque::from([vec![start.to_owned()]]);
    while let Some(way) = open.pop_front() {
        for next in edges.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
            let way = [&way[..], std::slice::from_ref(next)].concat();
            if next == start {
                return Some(way);
            }
            if seen.insert(next.clone()) {
                open.push_back(way);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(modules: &[(&str, &str)]) -> Vec<String> {
        let mut read = Crate::default();
        for (path, text) in modules {
            let path: ModulePath = path
                .split("::")
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect();
            read.add(text, &path);
        }
        circles(&read)
    }

    #[test]
    fn two_modules_that_use_each_other_are_told() {
        let found = of(&[
            ("", "mod a; mod b; mod c;"),
            ("a", "use crate::b::B; struct A;"),
            ("b", "struct B(super::a::A);"),
            ("c", "use crate::a::A;"),
        ]);
        assert_eq!(
            found,
            ["a, b depend on each other: a uses crate::b::B; b uses super::a::A"]
        );
    }

    #[test]
    fn a_path_leads_to_what_is_exported_again() {
        let root = "mod a; mod b; pub use a::inner::A; pub use b::*;";
        let inner = ("a::inner", "use crate::B; pub struct A;");
        let found = of(&[
            ("", root),
            ("a", "pub mod inner;"),
            inner,
            ("b", "pub struct B(crate::A);"),
        ]);
        assert_eq!(
            found,
            ["a, b depend on each other: a::inner uses crate::B; b uses crate::A"]
        );
    }

    #[test]
    fn a_folder_and_what_is_below_it_are_one() {
        let a = ("a", "mod inner; use inner::I; struct A;");
        let inner = ("a::inner", "use super::A; struct I;");
        assert_eq!(of(&[("", "mod a;"), a, inner]), [""; 0]);
    }

    #[test]
    fn modules_inside_a_folder_form_circles_too() {
        let one = ("a::one", "use super::two::Two; struct One;");
        let two = ("a::two", "use super::One; struct Two;");
        let found = of(&[
            ("", "mod a;"),
            ("a", "mod one; mod two; use one::One;"),
            one,
            two,
        ]);
        assert_eq!(
            found,
            ["one, two depend on each other: a::one uses super::two::Two; a::two uses super::One"]
        );
    }

    #[test]
    fn the_root_is_a_module_too() {
        let found = of(&[
            ("", "mod a; struct R; fn f() { a::g() }"),
            ("a", "use crate::R; fn g() {}"),
        ]);
        assert_eq!(found.len(), 1);
        let exports = of(&[
            ("", "mod a; pub use a::g; struct R;"),
            ("a", "use crate::R; fn g() {}"),
        ]);
        assert_eq!(exports, [""; 0]);
    }

    #[test]
    fn test_code_and_other_crates_do_not_count() {
        let found = of(&[
            ("", "mod a; mod b;"),
            ("a", "use crate::b::B; struct A;"),
            (
                "b",
                "use serde::a; struct B; #[cfg(test)] mod tests { use crate::a::A; }",
            ),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
