//! Log files as AWS delivers them, and the tables that Athena makes of them.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use regex::Regex;

/// The table of access logs in Athena's user guide.
pub const ACCESS_LOG: &str = include_str!("../athena/access-log.regex");

/// The table of connection logs in Athena's user guide.
pub const CONNECTION_LOG: &str = include_str!("../athena/connection-log.regex");

/// A log file.
#[derive(Debug)]
pub struct LogFile {
    /// Its key in the bucket.
    pub key: String,
    /// Its lines.
    pub lines: Vec<String>,
}

impl LogFile {
    /// The file with this key and these bytes, which are compressed if the key ends in `.gz`.
    pub fn new(key: String, bytes: &[u8]) -> Self {
        let mut text = String::new();
        if Path::new(&key).extension().is_some_and(|end| end == "gz") {
            GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        } else {
            text.push_str(str::from_utf8(bytes).unwrap());
        }
        assert!(text.ends_with('\n'), "{key} ends in the middle of a line");
        Self {
            key,
            lines: text.lines().map(ToOwned::to_owned).collect(),
        }
    }

    /// All files below `root`, sorted by key.
    pub fn below(root: &Path) -> Vec<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_none_or(|end| end != "part") {
                    let key = path.strip_prefix(root).unwrap().display().to_string();
                    files.push(Self::new(key, &fs::read(&path).unwrap()));
                }
            }
        }
        files.sort_by(|a, b| a.key.cmp(&b.key));
        files
    }

    /// Fails unless the key has the layout of AWS for `id`, such as `app.web.0123456789abcdef`.
    pub fn assert_key(&self, prefix: &str, file_prefix: &str, id: &str, node: &str, end: &str) {
        let pattern = format!(
            r"^{prefix}AWSLogs/000000000000/elasticloadbalancing/us-east-1/\d{{4}}/\d\d/\d\d/{file_prefix}000000000000_elasticloadbalancing_us-east-1_{}_\d{{8}}T\d{{4}}Z_{}[a-z0-9]{{8}}{}$",
            regex::escape(id),
            regex::escape(node),
            regex::escape(end),
        );
        assert!(
            Regex::new(&pattern).unwrap().is_match(&self.key),
            "{} is not like {pattern}",
            self.key
        );
    }

    /// The columns of each line, by the regular expression of a table: a RegexSerDe matches whole lines.
    pub fn rows(&self, table: &str) -> Vec<Vec<String>> {
        let table = Regex::new(&format!("^(?:{})$", table.trim())).unwrap();
        let row = |line: &String| {
            let columns = table.captures(line);
            let columns = columns.unwrap_or_else(|| panic!("Athena reads nulls from {line}"));
            let text = |n| {
                columns
                    .get(n)
                    .map_or("", |column| column.as_str())
                    .to_owned()
            };
            (1..columns.len()).map(text).collect()
        };
        self.lines.iter().map(row).collect()
    }
}
