//! Who may connect.

use std::net::IpAddr;

use ipnet::IpNet;

/// CIDR blocks that connections may come from. No block is inside another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(pub(crate) Vec<IpNet>);

impl Sources {
    /// All addresses in these blocks.
    pub(crate) fn new(blocks: Vec<IpNet>) -> Self {
        Self(IpNet::aggregate(&blocks))
    }

    /// Whether `client` may connect.
    pub fn contains(&self, client: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(&client))
    }
}
