//! What lives in the AWS account and manifests only name: how the controllers look it up there, and what stands in for it
//! when nobody described the account.

mod lookup;
mod named;
mod provider;
mod security_groups;
mod subnets;

pub(crate) use lookup::{Finding, Resolved};
pub(crate) use named::unlisted;
pub(crate) use provider::provider_subnets;
pub(crate) use security_groups::{security_groups, unknown_group};
pub(crate) use subnets::{Kind, Request, Selection, chosen, placed};
