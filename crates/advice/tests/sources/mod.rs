//! The codes that the sources of all crates emit: what stands where a function has the parameter `code`, or a field is called so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A token of Rust, without comments, characters and lifetimes.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Mark(char),
}

impl Token {
    fn is(&self, mark: char) -> bool {
        *self == Self::Mark(mark)
    }

    fn word(&self) -> &str {
        match self {
            Self::Word(word) => word,
            Self::Text(_) | Self::Mark(_) => "",
        }
    }
}

/// Each code, with the first file that emits it.
pub(crate) fn codes(crates: &Path) -> BTreeMap<String, String> {
    let mut files = Vec::new();
    for folder in fs::read_dir(crates).unwrap() {
        collect(&folder.unwrap().path().join("src"), &mut files);
    }
    files.sort();
    let sources: Vec<(&PathBuf, Vec<Token>)> = files
        .iter()
        .filter(|file| !file.starts_with(crates.join("advice")))
        .map(|file| (file, tokens(&fs::read_to_string(file).unwrap())))
        .collect();
    let functions: BTreeSet<(String, usize, usize)> = sources
        .iter()
        .flat_map(|(_, tokens)| functions(tokens))
        .collect();
    let mut codes = BTreeMap::new();
    for (file, tokens) in &sources {
        for code in emitted(tokens, &functions) {
            codes
                .entry(code)
                .or_insert_with(|| file.display().to_string());
        }
    }
    codes
}

/// The Rust files in `folder`, without those of tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path
            .file_stem()
            .is_some_and(|name| name.to_string_lossy().ends_with("tests"))
        {
            continue;
        }
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}

/// The functions and closures with a parameter `code`: name, number of parameters without `self`, and its index among them.
fn functions(tokens: &[Token]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let is_code = |one: &&[Token]| one.first().is_some_and(|token| token.word() == "code");
    for (at, token) in tokens.iter().enumerate() {
        // `let name = |code, message| ...`
        if let [Token::Word(name), equals, bar, rest @ ..] = &tokens[at + 1..]
            && token.word() == "let"
            && equals.is('=')
            && bar.is('|')
        {
            let end = rest.iter().position(|token| token.is('|'));
            let parameters: Vec<&[Token]> = rest[..end.unwrap_or(0)]
                .split(|token| token.is(','))
                .collect();
            if let Some(index) = parameters.iter().position(&is_code) {
                found.push((name.clone(), parameters.len(), index));
            }
        }
        if token.word() != "fn" {
            continue;
        }
        let Some(open) = tokens[at..].iter().position(|token| token.is('(')) else {
            continue;
        };
        let mut parameters = arguments(&tokens[at + open..]);
        parameters.retain(|one| !one.iter().take(3).any(|token| token.word() == "self"));
        if let Some(index) = parameters.iter().position(&is_code) {
            let name = tokens[at + 1].word().to_owned();
            found.push((name, parameters.len(), index));
        }
    }
    found
}

/// The codes among the tokens of a file.
fn emitted(tokens: &[Token], functions: &BTreeSet<(String, usize, usize)>) -> Vec<String> {
    let mut found = Vec::new();
    let constants = constants(tokens);
    let texts = |tokens: &[Token]| texts(tokens, &constants);
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| tokens[at].word());
        let next = |mark| tokens.get(at + 1).is_some_and(|token| token.is(mark));
        if next('(') && before != "fn" {
            let arguments = arguments(&tokens[at + 1..]);
            let called = functions.iter().filter(|(name, count, _)| {
                let name = name == token.word();
                name && *count == arguments.len()
                    && (token.word() != "new" || is_diagnostic(&tokens[..at]))
            });
            for (_, _, index) in called {
                found.extend(texts(arguments[*index]));
            }
        }
        // A field of a structure, and a value that is given its name first.
        if token.word() == "code" && (next(':') || next('=')) {
            let end = end_of(&tokens[at..]);
            found.extend(texts(&tokens[at..at + end]));
        }
        // `let (code, message) = ...`: the first of each pair.
        if token.word() == "code" && next(',') && at > 1 && tokens[at - 2].word() == "let" {
            let end = tokens[at..].iter().position(|token| token.is(';'));
            let pairs = tokens[at..at + end.unwrap_or(0)].windows(2);
            let firsts = pairs.filter(|pair| pair[0].is('('));
            found.extend(firsts.flat_map(|pair| texts(&pair[1..])));
        }
    }
    found
}

fn is_diagnostic(before: &[Token]) -> bool {
    let mut words = before.iter().rev().filter(|token| !token.is(':'));
    words
        .next()
        .is_some_and(|token| matches!(token.word(), "Diagnostic" | "Finding" | "Self"))
}

/// The constants of a file that are texts: `const NAME: &str = "...";`.
fn constants(tokens: &[Token]) -> BTreeMap<String, String> {
    let constant = |part: &[Token]| match part {
        [
            keyword,
            Token::Word(name),
            colon,
            reference,
            Token::Word(kind),
            equals,
            Token::Text(text),
        ] if keyword.word() == "const"
            && colon.is(':')
            && reference.is('&')
            && kind == "str"
            && equals.is('=') =>
        {
            Some((name.clone(), text.clone()))
        }
        _ => None,
    };
    tokens.windows(7).filter_map(constant).collect()
}

/// The texts that can be codes, also those that a constant stands for.
fn texts(tokens: &[Token], constants: &BTreeMap<String, String>) -> Vec<String> {
    let texts = tokens.iter().filter_map(|token| match token {
        Token::Text(text) => Some(text),
        Token::Word(word) => constants.get(word),
        Token::Mark(_) => None,
    });
    let is_code =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    texts
        .filter(|text| !text.is_empty() && text.chars().all(is_code))
        .cloned()
        .collect()
}

/// What stands between the commas of the parenthesis that `tokens` start with.
fn arguments(tokens: &[Token]) -> Vec<&[Token]> {
    let (mut depth, mut start, mut found) = (0_usize, 1, Vec::new());
    for (at, token) in tokens.iter().enumerate() {
        let Token::Mark(mark) = token else { continue };
        match mark {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 1 => {
                found.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            if start < at {
                found.push(&tokens[start..at]);
            }
            break;
        }
    }
    found
}

/// Where the expression ends that `tokens` start with.
fn end_of(tokens: &[Token]) -> usize {
    let mut depth = 0_i32;
    for (at, token) in tokens.iter().enumerate() {
        let Token::Mark(mark) = token else { continue };
        match mark {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        if depth < 0 || (depth == 0 && matches!(mark, ',' | ';')) {
            return at;
        }
    }
    tokens.len()
}

/// The tokens of a file up to its tests.
fn tokens(text: &str) -> Vec<Token> {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let letters: Vec<char> = text.chars().collect();
    let at = |index: usize| letters.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < letters.len() {
        let letter = at(index);
        let rest = &letters[index..];
        let until = |is_end: &dyn Fn(char) -> bool| {
            rest.iter()
                .position(|&one| is_end(one))
                .unwrap_or(rest.len())
        };
        if letter == '/' && at(index + 1) == '/' {
            index += until(&|one| one == '\n');
        } else if letter == '"' {
            let end = quoted(&letters, index);
            tokens.push(Token::Text(letters[index + 1..end - 1].iter().collect()));
            index = end;
        } else if letter == 'r'
            && (at(index + 1) == '"'
                || (at(index + 1) == '#' && matches!(at(index + 2), '"' | '#')))
        {
            index = raw(&letters, index);
        } else if letter == '\'' && (at(index + 1) == '\\' || at(index + 2) == '\'') {
            // A character; a lifetime has no second quote.
            index += if at(index + 1) == '\\' { 2 } else { 1 };
            index += letters[index + 1..]
                .iter()
                .position(|&one| one == '\'')
                .unwrap_or(0)
                + 2;
        } else if letter.is_alphabetic() || letter == '_' {
            let length = until(&|one| !one.is_alphanumeric() && one != '_');
            tokens.push(Token::Word(rest[..length].iter().collect()));
            index += length;
        } else {
            if !letter.is_whitespace() {
                tokens.push(Token::Mark(letter));
            }
            index += 1;
        }
    }
    tokens
}

/// Where the text in quotes ends that starts at `index`.
fn quoted(letters: &[char], index: usize) -> usize {
    let mut at = index + 1;
    while at < letters.len() && letters[at] != '"' {
        at += if letters[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(letters.len())
}

/// Where the raw text ends that starts at `index`.
fn raw(letters: &[char], index: usize) -> usize {
    let hashes = letters[index + 1..]
        .iter()
        .take_while(|&&one| one == '#')
        .count();
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let start = index + hashes + 2;
    let found = letters[start..]
        .windows(end.len())
        .position(|window| window == end);
    start + found.unwrap_or(0) + end.len()
}
