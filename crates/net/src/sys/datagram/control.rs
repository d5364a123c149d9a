//! Control messages of datagrams, read and written as bytes in the layout of the kernel's `struct cmsghdr`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of `cmsg_len`, to whose multiples messages are aligned.
const WORD: usize = size_of::<usize>();

/// Bytes before the data of a message: `cmsg_len`, `cmsg_level`, `cmsg_type`.
const HEADER: usize = WORD + 8;

/// Bytes for all control messages of a datagram: a segment size, and a local address of either family.
const SPACE: usize = 64;

/// The control messages of one datagram.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Control {
    bytes: [u8; SPACE],
    used: usize,
}

impl Control {
    pub(super) const EMPTY: Self = Self {
        bytes: [0; SPACE],
        used: 0,
    };

    /// All of its space, to be written by the kernel.
    pub(super) fn space(&mut self) -> &mut [u8; SPACE] {
        &mut self.bytes
    }

    /// Sets how much the kernel has written.
    pub(super) fn set_used(&mut self, used: usize) {
        self.used = used.min(SPACE);
    }

    /// The messages.
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.used]
    }

    /// Adds the local address that the datagram is sent from.
    pub(super) fn push_source(&mut self, source: IpAddr) {
        match source {
            // struct in_pktinfo: interface, local address, destination.
            IpAddr::V4(ip) => {
                let mut data = [0; 12];
                data[4..8].copy_from_slice(&ip.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &data);
            }
            // struct in6_pktinfo: address, interface.
            IpAddr::V6(ip) => {
                let mut data = [0; 20];
                data[..16].copy_from_slice(&ip.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &data);
            }
        }
    }

    /// Adds the size of the segments that the kernel cuts the datagram into.
    pub(super) fn push_segment(&mut self, size: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let len = HEADER + data.len();
        let end = self.used + len.next_multiple_of(WORD);
        let Some(message) = self.bytes.get_mut(self.used..end) else {
            return;
        };
        message.fill(0);
        message[..WORD].copy_from_slice(&len.to_ne_bytes());
        message[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
        message[WORD + 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        message[HEADER..len].copy_from_slice(data);
        self.used = end;
    }

    /// The local address that the datagram was sent to.
    pub(super) fn destination(&self) -> Option<IpAddr> {
        self.messages().find_map(|message| match message {
            (libc::IPPROTO_IP, libc::IP_PKTINFO, [_, _, _, _, _, _, _, _, a, b, c, d]) => {
                Some(Ipv4Addr::new(*a, *b, *c, *d).into())
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, data) => {
                let octets = data.first_chunk::<16>()?;
                Some(Ipv6Addr::from(*octets).into())
            }
            _ => None,
        })
    }

    /// The size of the datagrams that the kernel has joined to one.
    pub(super) fn segment(&self) -> Option<usize> {
        self.messages().find_map(|message| match message {
            (libc::SOL_UDP, libc::UDP_GRO, data) => {
                let size = i32::from_ne_bytes(*data.first_chunk()?);
                usize::try_from(size).ok().filter(|size| *size > 0)
            }
            _ => None,
        })
    }

    /// Level, type and data of each message.
    fn messages(&self) -> impl Iterator<Item = (i32, i32, &[u8])> {
        let mut rest = &self.bytes[..self.used];
        std::iter::from_fn(move || {
            let len = usize::from_ne_bytes(*rest.first_chunk()?);
            let data = rest.get(HEADER..len)?;
            let level = i32::from_ne_bytes(*rest[WORD..].first_chunk()?);
            let kind = i32::from_ne_bytes(*rest[WORD + 4..].first_chunk()?);
            rest = rest.get(len.next_multiple_of(WORD)..).unwrap_or_default();
            Some((level, kind, data))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Control)) -> Control {
        let mut control = Control::EMPTY;
        write(&mut control);
        control
    }

    #[test]
    fn segment_size_is_read_beside_an_address() {
        let control = written(|control| {
            control.push(libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes());
            let mut info = [0; 12];
            info[8..].copy_from_slice(&[127, 0, 0, 9]);
            control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
        });
        assert_eq!(control.segment(), Some(1200));
        assert_eq!(control.destination(), Some([127, 0, 0, 9].into()));
    }

    #[test]
    fn largest_messages_fit() {
        let mut control = written(|control| {
            control.push_segment(1200);
            control.push_source("2001:db8::1".parse().unwrap());
        });
        assert_eq!(control.bytes().len(), SPACE);
        assert_eq!(control.destination(), "2001:db8::1".parse().ok());
    }

    #[test]
    fn broken_lengths_end_the_messages() {
        for len in [0, 7, HEADER - 1, SPACE + 1, usize::MAX] {
            let mut control = Control::EMPTY;
            control.space()[..WORD].copy_from_slice(&len.to_ne_bytes());
            control.set_used(SPACE);
            assert_eq!((control.segment(), control.destination()), (None, None));
        }
    }

    #[test]
    fn segments_of_no_size_are_none() {
        for size in [0_i32, -1] {
            let control = written(|c| c.push(libc::SOL_UDP, libc::UDP_GRO, &size.to_ne_bytes()));
            assert_eq!(control.segment(), None);
        }
    }
}
