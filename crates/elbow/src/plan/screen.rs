//! Trees on a terminal or in a pipe, with colour and line breaks.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};

/// The minimal line width; narrower lines would be unreadable.
const MIN_WIDTH: usize = 40;

/// How text is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// Whether to print colours.
    pub(crate) color: bool,
    /// The line width in columns; `None` means that lines are not broken.
    pub(crate) width: Option<usize>,
}

impl Screen {
    /// The properties of stdout.
    pub(crate) fn stdout() -> Self {
        let out = io::stdout();
        let columns = out.is_terminal().then(|| {
            let size = rustix::termios::tcgetwinsize(&out);
            size.map_or(0, |size| size.ws_col)
        });
        Self::of(columns, std::env::var_os("NO_COLOR").as_deref())
    }

    /// A terminal of `columns` (0 if unknown), or a pipe (`None`), which gets plain unbroken lines. `no_color` is the
    /// variable NO_COLOR: any value that is not empty turns colours off (no-color.org).
    fn of(columns: Option<u16>, no_color: Option<&OsStr>) -> Self {
        Self {
            color: columns.is_some() && no_color.is_none_or(OsStr::is_empty),
            width: columns.filter(|columns| *columns > 0).map(usize::from),
        }
    }
}

/// The style of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

impl Style {
    /// The parameter of the control sequence SGR.
    const fn code(self) -> Option<u8> {
        match self {
            Self::Plain => None,
            Self::Bold => Some(1),
            Self::Dim => Some(2),
            Self::Red => Some(31),
            Self::Green => Some(32),
            Self::Yellow => Some(33),
        }
    }
}

/// A line of a tree and its children.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    words: Vec<(Style, String)>,
    children: Vec<Self>,
}

impl Branch {
    /// A line that starts with `head`.
    pub(crate) fn new(style: Style, head: &str) -> Self {
        Self {
            words: vec![(style, clean(head))],
            children: Vec::new(),
        }
    }

    /// Appends a name to the line.
    #[must_use]
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.words.push((Style::Bold, clean(name)));
        self
    }

    /// Appends plain text to the line.
    #[must_use]
    pub(crate) fn text(mut self, text: &str) -> Self {
        let words = text.split(' ').filter(|word| !word.is_empty());
        self.words
            .extend(words.map(|word| (Style::Plain, clean(word))));
        self
    }

    /// Adds children.
    #[must_use]
    pub(crate) fn with(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    /// Writes the tree.
    pub(crate) fn write(&self, screen: Screen, out: &mut impl Write) -> io::Result<()> {
        self.write_below("", "", screen, out)
    }

    /// Writes the tree with `first` before the first line and `rest` before all others.
    fn write_below(
        &self,
        first: &str,
        rest: &str,
        screen: Screen,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let stem = if self.children.is_empty() {
            "  "
        } else {
            "│ "
        };
        let mut column = columns(first);
        write!(out, "{first}")?;
        for (index, (style, word)) in self.words.iter().enumerate() {
            if index > 0 {
                let fits = screen
                    .width
                    .is_none_or(|width| column + 1 + columns(word) <= width.max(MIN_WIDTH));
                if fits {
                    write!(out, " ")?;
                    column += 1;
                } else {
                    write!(out, "\n{rest}{stem}  ")?;
                    column = columns(rest) + columns(stem) + 2;
                }
            }
            self.write_word(*style, word, screen, out)?;
            column += columns(word);
        }
        writeln!(out)?;
        for (index, child) in self.children.iter().enumerate() {
            let (branch, stem) = if index + 1 == self.children.len() {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let (first, rest) = (format!("{rest}{branch}"), format!("{rest}{stem}"));
            child.write_below(&first, &rest, screen, out)?;
        }
        Ok(())
    }

    fn write_word(
        &self,
        style: Style,
        word: &str,
        screen: Screen,
        out: &mut impl Write,
    ) -> io::Result<()> {
        match style.code().filter(|_| screen.color) {
            Some(code) => write!(out, "\x1b[{code}m{word}\x1b[0m"),
            None => write!(out, "{word}"),
        }
    }
}

fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Escapes control characters, so that text from manifests cannot control the terminal.
pub(crate) fn clean(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let escaped = |letter: char| -> String {
        if letter.is_control() {
            letter.escape_default().collect()
        } else {
            letter.into()
        }
    };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Screen = Screen {
        color: false,
        width: None,
    };

    fn shown(branch: &Branch, screen: Screen) -> String {
        let mut out = Vec::new();
        branch.write(screen, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn tree() -> Branch {
        let leaf = |name| Branch::new(Style::Plain, "leaf").name(name);
        Branch::new(Style::Bold, "root").with([
            leaf("a").with([leaf("b")]),
            leaf("c").text("with a text that goes on for longer than the screen is wide"),
        ])
    }

    #[test]
    fn pipe_gets_unbroken_lines_without_colour() {
        assert_eq!(
            shown(&tree(), PIPE),
            "root\n├─ leaf a\n│  └─ leaf b\n└─ leaf c with a text that goes on for longer than the screen is wide\n"
        );
    }

    #[test]
    fn terminal_gets_lines_that_fit() {
        let screen = Screen {
            color: false,
            width: Some(40),
        };
        let shown = shown(&tree(), screen);
        assert!(shown.lines().all(|line| columns(line) <= 40), "{shown}");
        assert!(
            shown.ends_with(
                "└─ leaf c with a text that goes on for\n       longer than the screen is wide\n"
            ),
            "{shown}"
        );
    }

    #[test]
    fn colour_is_for_terminals_without_no_color() {
        let color =
            |columns, no_color: Option<&str>| Screen::of(columns, no_color.map(OsStr::new)).color;
        assert!(color(Some(80), None) && color(Some(80), Some("")));
        assert!(!color(Some(80), Some("1")) && !color(None, None));
        assert_eq!(Screen::of(Some(0), None).width, None);
        assert_eq!(Screen::of(Some(80), None).width, Some(80));
    }

    #[test]
    fn colour_surrounds_words() {
        let screen = Screen {
            color: true,
            width: None,
        };
        assert_eq!(
            shown(
                &Branch::new(Style::Red, "quota").text("101/100 rules"),
                screen
            ),
            "\u{1b}[31mquota\u{1b}[0m 101/100 rules\n"
        );
    }

    #[test]
    fn control_characters_are_escaped() {
        let branch = Branch::new(Style::Plain, "body").text("a\u{1b}[2Jb\nc");
        assert_eq!(shown(&branch, PIPE), "body a\\u{1b}[2Jb\\nc\n");
    }
}
