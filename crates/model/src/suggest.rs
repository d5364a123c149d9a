//! "Did you mean ...?"

/// At most this many candidates are compared, so that a hint stays cheap.
const CANDIDATES: usize = 1_000;

/// A hint with the candidate nearest to `word`, if it is near enough for a typing error.
pub fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let length = word.chars().count();
    // A long text is no typing error, and comparing it is expensive.
    if length > 100 {
        return None;
    }
    let near = |candidate: &&str| distance(word, candidate) <= 1 + length.max(3) / 4;
    candidates
        .into_iter()
        .take(CANDIDATES)
        .filter(near)
        .min_by_key(|candidate| distance(word, candidate))
        .map(|candidate| format!("did you mean \"{candidate}\"?"))
}

/// The number of typing errors between two texts: letters that are missing, added, wrong or swapped with the next, ignoring
/// case (optimal string alignment distance).
pub fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.to_lowercase().chars().collect();
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = above[j] + usize::from(x != y);
            let mut best = substituted.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_near() {
        let names = ["minio", "console", "healthCheckConfig"];
        let hint = |word| did_you_mean(word, names);
        assert_eq!(hint("minoi").as_deref(), Some("did you mean \"minio\"?"));
        assert_eq!(
            hint("Console").as_deref(),
            Some("did you mean \"console\"?")
        );
        assert_eq!(
            hint("healthcheck_config").as_deref(),
            Some("did you mean \"healthCheckConfig\"?")
        );
        assert_eq!(hint("nginx"), None);
        assert_eq!(hint(""), None);
        assert_eq!(hint(&"minio".repeat(100)), None);
    }

    #[test]
    fn a_transposition_counts_once() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abd"), 1);
        assert_eq!(distance("abc", "ABC"), 0);
    }
}
