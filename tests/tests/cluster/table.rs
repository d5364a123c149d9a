//! The rows of `config/eks` that this cluster's API server accepts, with their expected listeners.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use elbow_tests::tools;

/// Folders of `config/eks` that the API server rejects: the first is not valid YAML, and this cluster
/// has only IPv4.
const NOT_TAKEN: [&str; 2] = ["mis-indented", "s19-nlb-dualstack"];

/// A folder of `config/eks` with objects that the API server accepts.
pub(crate) struct Row {
    pub(crate) folder: &'static str,
    pub(crate) targets: Targets,
    pub(crate) listeners: &'static [Listener],
}

/// `type protocol:port`, and its backend.
pub(crate) type Listener = (&'static str, Backend);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Targets {
    Nodes,
    Pods,
    Both,
}
pub(crate) use Targets::{Both, Nodes, Pods};

#[derive(Clone, Copy)]
pub(crate) enum Backend {
    /// S3, with this host name.
    S3(&'static str),
    /// A console, with this host name.
    Console(&'static str),
    /// A console that expects TLS but gets plain HTTP, as in control-plane.md S4.
    PlainToTls,
    /// Clients are rejected.
    Nobody,
}
use Backend::{Console, Nobody, PlainToTls, S3};

pub(crate) const ANY: &str = "any.example.com";

const fn row(folder: &'static str, targets: Targets, listeners: &'static [Listener]) -> Row {
    Row {
        folder,
        targets,
        listeners,
    }
}

pub(crate) const ROWS: &[Row] = &[
    row("s01-tenant-clb", Nodes, CLASSIC_TENANT),
    row("s02-operator-console-clb", Nodes, CLASSIC_CONSOLE),
    row("s03-tenant-internal-clb", Nodes, CLASSIC_TENANT),
    row("s04-clb-tls-termination", Nodes, CLASSIC_TLS),
    row("s05-clb-internal", Nodes, CLASSIC_CONSOLE),
    row("s06-clb-cipher-policy", Nodes, CLASSIC_TLS),
    row("s07-clb-access-logs", Nodes, CLASSIC_CONSOLE),
    row("s08-clb-security-groups", Nodes, CLASSIC_BOTH),
    row("s09-clb-cross-zone", Nodes, CLASSIC_CONSOLE),
    row("s10-clb-end-to-end-tls", Nodes, CLASSIC_END_TO_END),
    row("s11-alb-tenant", Pods, ALB_TENANT),
    row("s12-alb-operator-console", Pods, ALB_OPERATOR),
    row("s13-nlb-tenant", Nodes, NLB_TENANT),
    row("s14-nlb-tls-termination", Nodes, NLB_TLS),
    row("s15-nlb-scheme", Pods, NLB_S3),
    row("s16-nlb-subnets", Pods, NLB_S3),
    row("s17-nlb-access-logs", Pods, &[("network TLS:443", S3(ANY))]),
    row("s18-nlb-target-type", Both, NLB_S3),
];
const CLASSIC_TENANT: &[Listener] = &[
    ("classic TCP:443", S3(ANY)),
    ("classic TCP:9443", Console(ANY)),
];
const CLASSIC_CONSOLE: &[Listener] = &[
    ("classic TCP:9090", Console(ANY)),
    ("classic TCP:9443", Console(ANY)),
];
/// A security group of the environment admits clients only at 9443.
const CLASSIC_BOTH: &[Listener] = &[
    ("classic TCP:443", S3(ANY)),
    ("classic TCP:9090", Nobody),
    ("classic TCP:9443", Console(ANY)),
];
const CLASSIC_TLS: &[Listener] = &[
    ("classic HTTPS:9090", Console(ANY)),
    ("classic HTTP:9443", PlainToTls),
];
const CLASSIC_END_TO_END: &[Listener] =
    &[("classic HTTPS:443", S3(ANY)), ("classic SSL:443", S3(ANY))];
const ALB_TENANT: &[Listener] = &[
    ("application HTTPS:443", S3("minio.example.com")),
    (
        "application HTTPS:443",
        Console("tenant-console.example.com"),
    ),
];
const ALB_OPERATOR: &[Listener] = &[("application HTTPS:443", Console("operator.example.com"))];
const NLB_TENANT: &[Listener] = &[
    ("network TCP:443", S3(ANY)),
    ("network TCP:9443", Console(ANY)),
];
const NLB_TLS: &[Listener] = &[
    ("network TLS:9090", Console(ANY)),
    ("network TCP:9443", Console(ANY)),
];
const NLB_S3: &[Listener] = &[("network TCP:443", S3(ANY))];

pub(crate) fn eks(row: &Row) -> PathBuf {
    tools::repository().join("config/eks").join(row.folder)
}

/// All folders of `config/eks` that the API server accepts.
pub(crate) fn folders() -> BTreeSet<String> {
    let folders = fs::read_dir(tools::repository().join("config/eks")).unwrap();
    folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .filter(|name| !NOT_TAKEN.contains(&name.as_str()))
        .collect()
}
