//! Dates of cookies.

use jiff::Timestamp;

/// `time`, in seconds since the epoch, as the attribute Expires has it (RFC 6265, 4.1.1).
pub(super) fn cookie(time: u64) -> String {
    let time = i64::try_from(time).unwrap_or_default();
    let time = Timestamp::from_second(time).unwrap_or(Timestamp::MAX);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn date_has_the_form_of_http() {
        assert_eq!(super::cookie(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
