//! Socket addresses as the kernel reads and writes them.

use std::mem::{size_of, zeroed};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// A socket address of either family.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    pub(super) fn empty() -> Self {
        // SAFETY: every field of the union is made of integers, for which zeros are valid.
        unsafe { zeroed() }
    }

    /// The address; `None` if the kernel has written none of these families.
    pub(super) fn get(&self) -> Option<SocketAddr> {
        // SAFETY: a name begins as zeros, and the kernel writes an address of one family over it. All bytes of the union are
        // initialized, and any bytes are valid for its fields, which are integers.
        unsafe {
            match i32::from(self.family) {
                libc::AF_INET => {
                    let ip = self.v4.sin_addr.s_addr.to_ne_bytes();
                    let port = u16::from_be(self.v4.sin_port);
                    Some(SocketAddr::from((ip, port)))
                }
                libc::AF_INET6 => {
                    let v6 = self.v6;
                    let port = u16::from_be(v6.sin6_port);
                    let ip = v6.sin6_addr.s6_addr.into();
                    let address = SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id);
                    Some(address.into())
                }
                _ => None,
            }
        }
    }

    /// Sets the address and returns its length.
    pub(super) fn set(&mut self, address: SocketAddr) -> libc::socklen_t {
        *self = Self::empty();
        let len = match address {
            SocketAddr::V4(address) => self.set_v4(address),
            SocketAddr::V6(address) => self.set_v6(address),
        };
        len as libc::socklen_t
    }

    fn set_v4(&mut self, address: SocketAddrV4) -> usize {
        self.v4 = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from_ne_bytes(address.ip().octets()),
            },
            sin_zero: [0; 8],
        };
        size_of::<libc::sockaddr_in>()
    }

    fn set_v6(&mut self, address: SocketAddrV6) -> usize {
        self.v6 = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: address.port().to_be(),
            sin6_flowinfo: address.flowinfo(),
            sin6_addr: libc::in6_addr {
                s6_addr: address.ip().octets(),
            },
            sin6_scope_id: address.scope_id(),
        };
        size_of::<libc::sockaddr_in6>()
    }
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn address_of_either_family_is_read_as_it_was_set() {
        let mut name = Name::empty();
        assert_eq!(name.get(), None);
        for (text, len) in [
            ("127.0.0.1:53", 16),
            ("[2001:db8::1]:65535", 28),
            ("[fe80::1%7]:1", 28),
            ("0.0.0.0:0", 16),
        ] {
            let address = text.parse().unwrap();
            assert_eq!(name.set(address), len);
            assert_eq!(name.get(), Some(address));
        }
    }
}
