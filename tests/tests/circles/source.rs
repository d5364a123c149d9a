//! The modules of a crate: what each defines, imports and refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::tokens::{Token, tokens};

/// Names from the crate's root down; empty: the root.
pub(super) type ModulePath = Vec<String>;

/// What is known of a module.
#[derive(Debug, Default)]
pub(super) struct Module {
    /// The items that it defines, other modules aside.
    pub(super) items: BTreeSet<String>,
    /// The names that it imports or exports again, with the paths they stand for as they are written.
    pub(super) imports: BTreeMap<String, Vec<String>>,
    /// Modules of which it imports everything.
    pub(super) globs: Vec<Vec<String>>,
    /// The paths in its code as they are written. Of the crate's root without what it exports again.
    pub(super) paths: BTreeSet<Vec<String>>,
}

/// A crate.
#[derive(Debug, Default)]
pub(super) struct Crate {
    /// Its modules, by their paths.
    pub(super) modules: BTreeMap<ModulePath, Module>,
}

impl Crate {
    /// Reads the crate with its sources in `folder`, from `lib.rs` or `main.rs` on.
    pub(super) fn read(folder: &Path) -> Self {
        let root = ["lib.rs", "main.rs"].map(|name| folder.join(name));
        let root = root.iter().find(|file| file.is_file()).unwrap();
        let mut read = Self::default();
        read.add_file(root, folder, ModulePath::new());
        read
    }

    /// Adds the module in `file`, and those in `folder` that it declares.
    fn add_file(&mut self, file: &Path, folder: &Path, path: ModulePath) {
        let text = std::fs::read_to_string(file).unwrap();
        for child in self.add(&text, &path) {
            let name = child.last().unwrap();
            let below = child[path.len()..].iter().collect::<PathBuf>();
            let files = [
                folder.join(&below).with_extension("rs"),
                folder.join(&below).join("mod.rs"),
            ];
            let held = files.iter().find(|file| file.is_file());
            let held = held.unwrap_or_else(|| panic!("{name} of {} has no file", file.display()));
            self.add_file(held, &folder.join(&below), child);
        }
    }

    /// Adds the module `path` with the content `text`; the modules that it declares and does not hold.
    pub(super) fn add(&mut self, text: &str, path: &[String]) -> Vec<ModulePath> {
        let tokens = tokens(text);
        let mut reader = Reader {
            read: self,
            tokens: &tokens,
            index: 0,
            declared: Vec::new(),
        };
        reader.module(path);
        reader.declared
    }
}

struct Reader<'a> {
    read: &'a mut Crate,
    tokens: &'a [Token],
    index: usize,
    declared: Vec<ModulePath>,
}

impl Reader<'_> {
    fn word(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.index + ahead)?.word()
    }

    fn is(&self, ahead: usize, mark: char) -> bool {
        self.tokens
            .get(self.index + ahead)
            .is_some_and(|token| token.is(mark))
    }

    /// Reads up to the brace that closes the module.
    fn module(&mut self, path: &[String]) {
        const ITEMS: &[&str] = &[
            "struct", "enum", "union", "trait", "type", "fn", "const", "static",
        ];
        self.read.modules.entry(path.to_vec()).or_default();
        let mut depth = 0;
        while let Some(token) = self.tokens.get(self.index) {
            match (token, self.word(1)) {
                (Token::Mark('{'), _) => depth += 1,
                (Token::Mark('}'), _) if depth == 0 => return,
                (Token::Mark('}'), _) => depth -= 1,
                (Token::Word(word), Some(name)) if word == "mod" => {
                    self.child([path, &[name.to_owned()]].concat())
                }
                (Token::Word(word), _) if word == "use" => self.imports(path),
                (Token::Word(word), Some(name)) if depth == 0 && ITEMS.contains(&&**word) => {
                    let name = name.to_owned();
                    self.here(path).items.insert(name);
                }
                (Token::Word(_), _) => self.path(path),
                (Token::Path | Token::Mark(_), _) => {}
            }
            self.index += 1;
        }
    }

    fn here(&mut self, path: &[String]) -> &mut Module {
        self.read.modules.get_mut(path).unwrap()
    }

    /// A module that is declared, and perhaps held. Stops at the mark that ends it.
    fn child(&mut self, path: ModulePath) {
        self.index += 2;
        if self.is(0, '{') {
            self.index += 1;
            self.module(&path);
        } else {
            self.declared.push(path);
        }
    }

    /// A word in code, with the words that `::` joins to it. Stops at the last of them.
    fn path(&mut self, module: &[String]) {
        let before = self.index.checked_sub(1).map(|before| &self.tokens[before]);
        let is_first = !before.is_some_and(|before| *before == Token::Path || before.is('.'));
        let mut words = vec![self.word(0).unwrap().to_owned()];
        while self.tokens.get(self.index + 1) == Some(&Token::Path)
            && let Some(word) = self.word(2)
        {
            words.push(word.to_owned());
            self.index += 2;
        }
        if is_first && words.len() > 1 {
            self.here(module).paths.insert(words);
        }
    }

    /// A `use` with everything that it imports. Stops at its semicolon.
    fn imports(&mut self, module: &[String]) {
        let is_exported = self.is_exported();
        self.index += 1;
        let mut leaves = Vec::new();
        self.tree(&[], &mut leaves);
        let here = self.here(module);
        for (name, path) in leaves {
            if !(is_exported && module.is_empty()) {
                here.paths.insert(path.clone());
            }
            match name {
                Some(name) => drop(here.imports.insert(name, path)),
                None => here.globs.push(path),
            }
        }
    }

    /// Whether `pub` or `pub(…)` stands before the word.
    fn is_exported(&self) -> bool {
        let before = &self.tokens[..self.index];
        let visibility = match before.last() {
            Some(last) if last.is(')') => {
                let open = before.iter().rposition(|token| token.is('('));
                &before[..open.unwrap_or(0)]
            }
            _ => before,
        };
        visibility.last().and_then(Token::word) == Some("pub")
    }

    /// The imports below `start`, each with the name that it gets; those of everything without one.
    fn tree(&mut self, start: &[String], leaves: &mut Vec<(Option<String>, Vec<String>)>) {
        let mut path = start.to_vec();
        let mut name = None;
        loop {
            match self.tokens.get(self.index) {
                Some(Token::Word(word)) if word == "as" => {
                    name = self.word(1).map(str::to_owned);
                    self.index += 1;
                }
                Some(Token::Word(word)) => path.push(word.clone()),
                Some(Token::Path) => {}
                Some(Token::Mark('*')) => {
                    self.index += 1;
                    return leaves.push((None, path));
                }
                Some(Token::Mark('{')) => {
                    self.index += 1;
                    while self.index < self.tokens.len() && !self.is(0, '}') {
                        self.tree(&path, leaves);
                        self.index += usize::from(self.is(0, ','));
                    }
                    self.index += 1;
                    return;
                }
                Some(Token::Mark(_)) | None => break,
            }
            self.index += 1;
        }
        if path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        if let Some(last) = path.last().cloned() {
            leaves.push((Some(name.unwrap_or(last)), path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Crate {
        let mut read = Crate::default();
        read.add(text, &[]);
        read
    }

    fn joined(paths: &BTreeSet<Vec<String>>) -> Vec<String> {
        paths.iter().map(|path| path.join("::")).collect()
    }

    #[test]
    fn imports_are_read_as_trees() {
        let read = read("use a::{b, c::{self, d as e}, f::*}; pub(crate) use g::h; use i as j;");
        let root = &read.modules[&Vec::new()];
        let names: Vec<&String> = root.imports.keys().collect();
        assert_eq!(names, ["b", "c", "e", "h", "j"]);
        assert_eq!(root.imports["e"], ["a", "c", "d"]);
        assert_eq!(root.globs, [["a", "f"]]);
        // What the root exports again is no code of its own.
        assert_eq!(
            joined(&root.paths),
            ["a::b", "a::c", "a::c::d", "a::f", "i"]
        );
    }

    #[test]
    fn paths_and_items_belong_to_their_module() {
        let read = read(
            "mod a { pub fn f() { x.b::<c::D>(); crate::e::G::new() } } mod h; struct S { t: h::T }",
        );
        let names: Vec<&ModulePath> = read.modules.keys().collect();
        assert_eq!(names, [&vec![], &vec!["a".to_owned()]]);
        let inner = &read.modules[&vec!["a".to_owned()]];
        assert_eq!(joined(&inner.paths), ["c::D", "crate::e::G::new"]);
        assert!(inner.items.contains("f"));
        let root = &read.modules[&Vec::new()];
        assert_eq!(joined(&root.paths), ["h::T"]);
        assert!(root.items.contains("S"));
    }
}
