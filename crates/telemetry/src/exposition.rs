//! The two text formats of a scrape.

use std::fmt::{self, Write};

/// A format that scrapers read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4, which every scraper supports.
    Prometheus,
    /// OpenMetrics 1.0.0, for scrapers that request it.
    OpenMetrics,
}

impl Format {
    /// Selects the format for a request with the `Accept` header `accept`: OpenMetrics if the request accepts version
    /// 1.0.0 and prefers it to plain text (RFC 9110 section 12.5.1).
    ///
    /// Prometheus accepts both and gives OpenMetrics the higher weight; curl and browsers send `*/*`.
    pub fn negotiate(accept: &str) -> Self {
        let (mut open_metrics, mut text, mut any) = (None, None, None);
        for range in accept.split(',').map(MediaRange::parse) {
            let best = match range.name.as_str() {
                "application/openmetrics-text" if range.is_version("1.0.0") => &mut open_metrics,
                "text/plain" if range.is_version("0.0.4") => &mut text,
                "text/*" | "*/*" => &mut any,
                _ => continue,
            };
            *best = (*best).max(Some(range.weight));
        }
        let text = text.or(any).unwrap_or(0);
        match open_metrics {
            Some(weight) if weight > 0 && weight >= text => Self::OpenMetrics,
            _ => Self::Prometheus,
        }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// One media range of an `Accept` header.
struct MediaRange<'a> {
    /// Type and subtype, in lower case.
    name: String,
    version: Option<&'a str>,
    /// The weight in thousandths.
    weight: u16,
}

impl<'a> MediaRange<'a> {
    fn parse(text: &'a str) -> Self {
        let mut pieces = text.split(';').map(str::trim);
        let name = pieces.next().unwrap_or_default().to_ascii_lowercase();
        let (mut version, mut weight) = (None, 1000);
        for (key, value) in pieces.filter_map(|piece| piece.split_once('=')) {
            if key.eq_ignore_ascii_case("version") {
                version = Some(value.trim_matches('"'));
            } else if key.eq_ignore_ascii_case("q") {
                weight = thousandths(value).unwrap_or(0);
            }
        }
        Self {
            name,
            version,
            weight,
        }
    }

    fn is_version(&self, version: &str) -> bool {
        self.version.is_none_or(|asked| asked == version)
    }
}

/// Parses a weight (RFC 9110 section 12.4.2) into thousandths; `None` if it is invalid.
fn thousandths(text: &str) -> Option<u16> {
    let weight: f32 = text.parse().ok()?;
    (0.0..=1.0)
        .contains(&weight)
        .then(|| (weight * 1000.0).round() as u16)
}

/// Converts metric families in OpenMetrics text, without the final `# EOF`, to a [`Format`].
pub struct Exposition<'w> {
    format: Format,
    out: &'w mut dyn Write,
    at_line_start: bool,
    /// The comment line received so far.
    comment: Option<String>,
    /// Name and text of the HELP line whose TYPE line follows.
    help: Option<(String, String)>,
}

impl fmt::Debug for Exposition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Exposition");
        debug.field("format", &self.format).finish_non_exhaustive()
    }
}

impl<'w> Exposition<'w> {
    /// Creates a converter that writes to `out`.
    pub fn new(format: Format, out: &'w mut dyn Write) -> Self {
        Self {
            format,
            out,
            at_line_start: true,
            comment: None,
            help: None,
        }
    }

    /// Writes the end of the scrape.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn finish(self) -> fmt::Result {
        match self.format {
            Format::Prometheus => Ok(()),
            Format::OpenMetrics => self.out.write_str("# EOF\n"),
        }
    }

    /// Converts a comment line to Prometheus text, which names the samples of counters and infos where OpenMetrics
    /// names their family, and has no units.
    fn comment(&mut self, line: &str) -> fmt::Result {
        let mut words = line.splitn(4, ' ');
        let _hash = words.next();
        let (kind, name) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let rest = words.next().unwrap_or_default().trim_end();
        match kind {
            "HELP" => self.help = Some((name.to_owned(), rest.to_owned())),
            "TYPE" => {
                let (suffix, kind) = match rest {
                    "counter" => ("_total", "counter"),
                    "info" => ("_info", "gauge"),
                    "unknown" => ("", "untyped"),
                    other => ("", other),
                };
                if let Some((_, help)) = self.help.take().filter(|(helped, _)| helped == name) {
                    writeln!(self.out, "# HELP {name}{suffix} {help}")?;
                }
                writeln!(self.out, "# TYPE {name}{suffix} {kind}")?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Write for Exposition<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.format == Format::OpenMetrics {
            return self.out.write_str(text);
        }
        for piece in text.split_inclusive('\n') {
            let is_comment = self.at_line_start && piece.starts_with('#');
            self.at_line_start = piece.ends_with('\n');
            match self.comment.take() {
                None if !is_comment => self.out.write_str(piece)?,
                comment => {
                    let mut line = comment.unwrap_or_default();
                    line.push_str(piece);
                    if self.at_line_start {
                        self.comment(&line)?;
                    } else {
                        self.comment = Some(line);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_used_on_request() {
        let prometheus_2_42 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,/;q=0.1";
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        for (accept, format) in [
            (prometheus_2_42, Format::OpenMetrics),
            (prometheus_3, Format::OpenMetrics),
            ("Application/OpenMetrics-Text", Format::OpenMetrics),
            (
                "application/openmetrics-text; version=\"1.0.0\"",
                Format::OpenMetrics,
            ),
            ("", Format::Prometheus),
            ("*/*", Format::Prometheus),
            (browser, Format::Prometheus),
            ("text/plain", Format::Prometheus),
            ("application/*", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=2", Format::Prometheus),
            (
                "application/openmetrics-text;version=0.0.1",
                Format::Prometheus,
            ),
            (
                "application/openmetrics-text;q=0.2,text/plain;q=0.9",
                Format::Prometheus,
            ),
            (
                "application/openmetrics-text;q=0.2,*/*;q=0.9",
                Format::Prometheus,
            ),
            ("application/openmetrics-text;q=0.9,*/*", Format::Prometheus),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept}");
        }
    }

    fn exposed(format: Format, pieces: &[&str]) -> String {
        let mut out = String::new();
        let mut exposition = Exposition::new(format, &mut out);
        for piece in pieces {
            exposition.write_str(piece).unwrap();
        }
        exposition.finish().unwrap();
        out
    }

    const FAMILIES: &str = "\
# HELP a Some a
# TYPE a counter
a_total{b=\"# TYPE\"} 1
# HELP c_bytes Some c
# TYPE c_bytes gauge
# UNIT c_bytes bytes
c_bytes 2
# HELP d Some d
# TYPE d info
d_info{e=\"f\"} 1
";
    const TEXT: &str = "\
# HELP a_total Some a
# TYPE a_total counter
a_total{b=\"# TYPE\"} 1
# HELP c_bytes Some c
# TYPE c_bytes gauge
c_bytes 2
# HELP d_info Some d
# TYPE d_info gauge
d_info{e=\"f\"} 1
";

    #[test]
    fn open_metrics_is_unchanged_and_ends_with_eof() {
        assert_eq!(
            exposed(Format::OpenMetrics, &[FAMILIES]),
            format!("{FAMILIES}# EOF\n")
        );
    }

    #[test]
    fn prometheus_text_names_samples_and_has_no_units_or_eof() {
        assert_eq!(exposed(Format::Prometheus, &[FAMILIES]), TEXT);
        let characters: Vec<String> = FAMILIES.chars().map(String::from).collect();
        let characters: Vec<&str> = characters.iter().map(String::as_str).collect();
        assert_eq!(exposed(Format::Prometheus, &characters), TEXT);
    }
}
