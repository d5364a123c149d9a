//! The syntax of strings with a format, as Kubernetes parses them.

/// A quantity, such as `500m`, `1.5Gi`, `1e3`.
pub(super) fn is_quantity(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Kubernetes takes `Gi` for zero.
    let rest = unsigned.trim_start_matches(is_digit);
    let suffix = rest
        .strip_prefix('.')
        .map_or(rest, |fraction| fraction.trim_start_matches(is_digit));
    !text.is_empty() && is_suffix(suffix)
}

fn is_suffix(suffix: &str) -> bool {
    let known = matches!(
        suffix,
        "" | "n"
            | "u"
            | "m"
            | "k"
            | "M"
            | "G"
            | "T"
            | "P"
            | "E"
            | "Ki"
            | "Mi"
            | "Gi"
            | "Ti"
            | "Pi"
            | "Ei"
    );
    let exponent = || {
        let exponent = suffix.strip_prefix(['e', 'E'])?;
        let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        digits.parse::<u32>().ok()
    };
    known || exponent().is_some()
}

/// A time of RFC 3339, such as `2026-01-31T12:00:00Z`. With `micro`, one with exactly six digits after the second, as
/// Kubernetes wants for a few fields.
pub(super) fn is_time(text: &str, micro: bool) -> bool {
    parse_time(text, micro).is_some()
}

fn parse_time(text: &str, micro: bool) -> Option<()> {
    let mut rest = text;
    let mut number = |digits: usize, after: char| {
        let (head, tail) = rest.split_at_checked(digits)?;
        let number: u32 = head
            .bytes()
            .all(|c| c.is_ascii_digit())
            .then(|| head.parse().ok())??;
        rest = if after == '\0' {
            tail
        } else {
            tail.strip_prefix(after)?
        };
        Some(number)
    };
    let (year, month, day) = (number(4, '-')?, number(2, '-')?, number(2, 'T')?);
    let (hour, minute, second) = (number(2, ':')?, number(2, ':')?, number(2, '\0')?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let zone = match rest.strip_prefix(['.', ',']) {
        None if micro => return None,
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            let digits = fraction.len() - zone.len();
            (digits > 0 && (!micro || digits == 6)).then_some(zone)?
        }
    };
    is_zone(zone).then_some(())
}

fn is_zone(zone: &str) -> bool {
    if zone == "Z" {
        return true;
    }
    let Some((hours, minutes)) = zone
        .strip_prefix(['+', '-'])
        .and_then(|zone| zone.split_once(':'))
    else {
        return false;
    };
    let within = |text: &str, most: u32| {
        text.len() == 2
            && text.bytes().all(|c| c.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|number| number <= most)
    };
    within(hours, 24) && within(minutes, 60)
}

/// Base64 with padding, as Go decodes it: line ends are skipped.
pub(super) fn is_base64(text: &str) -> bool {
    let mut length = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes() {
        match byte {
            b'\r' | b'\n' => continue,
            b'=' => padding += 1,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => {}
            _ => return false,
        }
        length += 1;
    }
    length.is_multiple_of(4) && padding <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for good in [
            "1", "+1", "-1.5Gi", "500m", ".5", "1.", "1e3", "1E-3", "0", "12Ei", "100n",
        ] {
            assert!(is_quantity(good), "{good:?}");
        }
        for bad in ["", "1 Gi", "1GB", "1e", "1e1.5", "1mm", "--1", "1K", "0x10"] {
            assert!(!is_quantity(bad), "{bad:?}");
        }
    }

    #[test]
    fn times_are_those_of_rfc_3339() {
        for good in ["2026-01-31T12:00:00Z", "2024-02-29T00:00:00.5+02:00"] {
            assert!(is_time(good, false), "{good:?}");
        }
        for bad in [
            "",
            "2026-01-31",
            "2026-02-29T00:00:00Z",
            "2026-01-31 12:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T12:00:00",
            "2026-1-31T12:00:00Z",
            "2026-01-31T12:00:00+2:00",
        ] {
            assert!(!is_time(bad, false), "{bad:?}");
        }
        assert!(is_time("2026-01-31T12:00:00.123456Z", true));
        assert!(!is_time("2026-01-31T12:00:00Z", true));
    }

    #[test]
    fn base64_needs_its_padding() {
        for good in ["", "YQ==", "YWI=", "YWJj\n", "YW\nJj"] {
            assert!(is_base64(good), "{good:?}");
        }
        for bad in ["YQ", "YQ=", "Y===", "YQ==YQ==", "Y-Jj", "plain text"] {
            assert!(!is_base64(bad), "{bad:?}");
        }
    }
}
