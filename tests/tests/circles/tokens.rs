//! The tokens of a Rust source that paths are made of, without comments, literals, attributes and test code.

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// An identifier or a keyword.
    Word(String),
    /// `::`.
    Path,
    /// Any other character.
    Mark(char),
}

impl Token {
    /// The identifier, if it is one.
    pub(super) fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) => Some(word),
            Self::Path | Self::Mark(_) => None,
        }
    }

    /// Whether it is this character.
    pub(super) fn is(&self, mark: char) -> bool {
        *self == Self::Mark(mark)
    }
}

/// The tokens of `text`, without attributes and without the items under `#[cfg(test)]`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    without_attributes(&scan(text))
}

fn scan(text: &str) -> Vec<Token> {
    let text: Vec<char> = text.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < text.len() {
        let letter = at(index);
        index = if letter == '/' && at(index + 1) == '/' {
            end_of(&text, index, |at| at == '\n')
        } else if letter == '/' && at(index + 1) == '*' {
            end_of_comment(&text, index)
        } else if let Some(end) = end_of_raw_string(&text, index) {
            end
        } else if letter == '"' {
            end_of_quoted(&text, index, '"')
        } else if letter == '\'' {
            // A lifetime has no second quote.
            if at(index + 1) == '\\' || at(index + 2) == '\'' {
                end_of_quoted(&text, index, '\'')
            } else {
                index + 1
            }
        } else if letter.is_alphabetic() || letter == '_' {
            let end = end_of(&text, index, |at| !at.is_alphanumeric() && at != '_');
            let is_prefix = matches!(at(end), '"' | '\'') && matches!(letter, 'b' | 'c');
            if !(is_prefix && end == index + 1) {
                tokens.push(Token::Word(text[index..end].iter().collect()));
            }
            end
        } else if letter == ':' && at(index + 1) == ':' {
            tokens.push(Token::Path);
            index + 2
        } else {
            if !letter.is_whitespace() {
                tokens.push(Token::Mark(letter));
            }
            index + 1
        };
    }
    tokens
}

fn end_of(text: &[char], from: usize, is_end: impl Fn(char) -> bool) -> usize {
    let end = text[from..].iter().position(|&letter| is_end(letter));
    end.map_or(text.len(), |length| from + length)
}

fn end_of_comment(text: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut index = from;
    while index + 1 < text.len() {
        match (text[index], text[index + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                index += 1;
                continue;
            }
        }
        index += 2;
        if depth == 0 {
            return index;
        }
    }
    text.len()
}

fn end_of_quoted(text: &[char], from: usize, quote: char) -> usize {
    let mut index = from + 1;
    while index < text.len() && text[index] != quote {
        index += if text[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// The end of `r"…"`, `br#"…"#` and the like, if one starts here.
fn end_of_raw_string(text: &[char], from: usize) -> Option<usize> {
    let prefix = end_of(text, from, |letter| !matches!(letter, 'b' | 'c' | 'r')) - from;
    let is_inside_word = from > 0 && (text[from - 1].is_alphanumeric() || text[from - 1] == '_');
    if !(1..=2).contains(&prefix) || text[from + prefix - 1] != 'r' || is_inside_word {
        return None;
    }
    let hashes = end_of(text, from + prefix, |letter| letter != '#') - from - prefix;
    let start = from + prefix + hashes;
    if text.get(start) != Some(&'"') {
        return None;
    }
    let mut end: Vec<char> = vec!['"'];
    end.extend(std::iter::repeat_n('#', hashes));
    let length = text[start + 1..]
        .windows(end.len())
        .position(|at| at == end);
    Some(length.map_or(text.len(), |length| start + 1 + length + end.len()))
}

fn without_attributes(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if !tokens[index].is('#') {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let bracket =
            index + 1 + usize::from(tokens.get(index + 1).is_some_and(|next| next.is('!')));
        if !tokens.get(bracket).is_some_and(|next| next.is('[')) {
            index += 1;
            continue;
        }
        let end = end_of_group(tokens, bracket);
        index = if is_for_tests(&tokens[bracket..end]) {
            end_of_item(tokens, end)
        } else {
            end
        };
    }
    kept
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let has = |word: &str| attribute.iter().any(|token| token.word() == Some(word));
    attribute.get(1).and_then(Token::word) == Some("cfg") && has("test") && !has("not")
}

/// The index after the bracket that closes the one at `open`.
fn end_of_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// The index after the item, the field or the match arm that starts at `from`.
fn end_of_item(tokens: &[Token], from: usize) -> usize {
    const BLOCKS: &[&str] = &[
        "fn",
        "mod",
        "struct",
        "enum",
        "union",
        "trait",
        "impl",
        "macro_rules",
    ];
    const STATEMENTS: &[&str] = &["use", "const", "static", "type", "let"];
    let first = tokens[from..].iter().filter_map(Token::word);
    let first = first
        .take(4)
        .find(|word| BLOCKS.contains(word) || STATEMENTS.contains(word));
    let is_statement =
        first.is_some_and(|word| STATEMENTS.contains(&word)) && !is_const_fn(&tokens[from..]);
    let mut index = from;
    while let Some(token) = tokens.get(index) {
        match token {
            Token::Mark(';') => return index + 1,
            Token::Mark(',') if first.is_none() => return index + 1,
            Token::Mark(')' | ']' | '}') => return index,
            Token::Mark('{') if !is_statement => return end_of_group(tokens, index),
            Token::Mark('(' | '[' | '{') => index = end_of_group(tokens, index),
            _ => index += 1,
        }
    }
    index
}

fn is_const_fn(item: &[Token]) -> bool {
    let words = || item.iter().filter_map(Token::word).take(4);
    words().any(|word| word == "const") && words().any(|word| word == "fn")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        let tokens = tokens(text);
        tokens
            .iter()
            .filter_map(Token::word)
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn comments_and_literals_are_skipped() {
        let text = r##"
            a // crate::no
            /* crate::no /* crate::no */ crate::no */ b
            "crate::no \" crate::no" c r#"crate::no " crate::no"# d b"no" br"no" c"no" b'n'
            'n' '\'' e<'a> '"' f
        "##;
        assert_eq!(words(text), ["a", "b", "c", "d", "e", "a", "f"]);
    }

    #[test]
    fn attributes_and_test_code_are_skipped() {
        let text = "
            #![allow(no)]
            #[cfg(test)] mod no { fn no() {} } a
            #[cfg(test)] #[derive(no)] struct No<A, B> { no: no } b
            #[cfg(test)] use no::{no, no}; c
            #[cfg(all(test, unix))] const fn no() {} d
            #[cfg(not(test))] e
            struct F { #[cfg(test)] no: no, g: h }
        ";
        assert_eq!(
            words(text),
            ["a", "b", "c", "d", "e", "struct", "F", "g", "h"]
        );
    }
}
