//! Which received datagrams leave together.

/// A received message: one datagram, or several of one size that the kernel has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes.
    pub len: usize,
    /// The size of each datagram if there are several.
    pub segment: Option<usize>,
}

/// The largest number of datagrams that the kernel cuts one message into (`UDP_MAX_SEGMENTS`, 64 before Linux 6.9).
pub const MOST: usize = 64;

/// Bytes of the longest message, without the headers of IPv4 or IPv6 and UDP.
pub const LONGEST: usize = 65_535 - 40 - 8;

/// How many of `pieces`, received in this order from one client, leave as one message: at least one, if there is any. The second value is the size
/// of the datagrams that the kernel cuts the message into, if it is more than one.
pub fn first_run(mut pieces: impl Iterator<Item = Piece>) -> (usize, Option<u16>) {
    let Some(first) = pieces.next() else {
        return (0, None);
    };
    if first.segment.is_some() {
        let segment = first.segment.and_then(|size| u16::try_from(size).ok());
        return (1, segment);
    }
    let (mut count, mut total) = (1, first.len);
    for piece in pieces {
        let fits = piece.segment.is_none()
            && (1..=first.len).contains(&piece.len)
            && count < MOST
            && total + piece.len <= LONGEST;
        if !fits {
            break;
        }
        count += 1;
        total += piece.len;
        // Only the last datagram of a message may be shorter.
        if piece.len < first.len {
            break;
        }
    }
    let segment = u16::try_from(first.len).ok().filter(|_| count > 1);
    (count, segment)
}

/// The number of datagrams in `piece`.
pub fn datagrams(piece: Piece) -> usize {
    match piece.segment {
        Some(size) if size > 0 => piece.len.div_ceil(size),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(lens: &[usize]) -> (usize, Option<u16>) {
        let plain = |len: &usize| Piece {
            len: *len,
            segment: None,
        };
        first_run(lens.iter().map(plain))
    }

    #[test]
    fn datagrams_of_one_size_leave_together() {
        assert_eq!(run(&[100, 100, 100]), (3, Some(100)));
        assert_eq!(run(&[100]), (1, None));
        assert_eq!(run(&[]), (0, None));
    }

    #[test]
    fn shorter_datagram_is_the_last_one() {
        assert_eq!(run(&[100, 100, 99, 99]), (3, Some(100)));
        assert_eq!(run(&[100, 101]), (1, None));
    }

    #[test]
    fn empty_datagrams_leave_alone() {
        assert_eq!(run(&[0, 0]), (1, None));
        assert_eq!(run(&[5, 0, 5]), (1, None));
    }

    #[test]
    fn message_has_no_more_datagrams_and_bytes_than_the_kernel_takes() {
        assert_eq!(run(&[1; 100]), (MOST, Some(1)));
        assert_eq!(run(&[1200; 60]), (LONGEST / 1200, Some(1200)));
        assert_eq!(run(&[65_507, 20]), (1, None));
    }

    #[test]
    fn joined_datagrams_leave_as_they_came() {
        let joined = Piece {
            len: 250,
            segment: Some(100),
        };
        let plain = Piece {
            len: 100,
            segment: None,
        };
        assert_eq!(first_run([joined, joined].into_iter()), (1, Some(100)));
        assert_eq!(first_run([plain, joined].into_iter()), (1, None));
        assert_eq!((datagrams(joined), datagrams(plain)), (3, 1));
    }
}
