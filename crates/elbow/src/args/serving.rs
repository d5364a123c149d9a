//! Arguments of the commands that serve.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use elbow_model::addresses::{DEFAULT_IPV6_POOL, Ipv4Net, Ipv6Net};

/// The default of `--admin`.
pub(crate) const DEFAULT_ADMIN: &str = "127.0.0.1:9901";

/// The arguments of a process that serves.
#[derive(Args, Debug)]
pub(crate) struct ServingArgs {
    /// The number of worker threads [default: one per core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,
    /// The address that serves /metrics, /health, /targets and /config.
    #[arg(long, value_name = "ADDR|off", default_value = DEFAULT_ADMIN)]
    pub(crate) admin: AddressOrOff,
    /// A second address, for kubelets and Prometheus, that serves /live, /ready, /health and /metrics; its other pages
    /// require the admin token.
    #[arg(long, value_name = "ADDR|off", default_value = "off")]
    pub(crate) probes: AddressOrOff,
    /// A host name that the admin address accepts, besides IP addresses and localhost; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) admin_host: Vec<String>,
    #[command(flatten)]
    pub(crate) token: TokenArg,
    /// The address of the DNS server for the names of load balancers (UDP).
    #[arg(long, value_name = "ADDR|off", default_value = "off")]
    pub(crate) dns: AddressOrOff,
    /// The network from which load balancers without an address get one.
    #[arg(long, value_name = "CIDR", default_value = "127.0.10.0/24")]
    pub(crate) address_pool: Ipv4Net,
    /// The network from which dualstack load balancers without an address get an IPv6 address, if it is local; otherwise
    /// they share ::1.
    #[arg(long, value_name = "CIDR", default_value_t = DEFAULT_IPV6_POOL)]
    pub(crate) address_pool_v6: Ipv6Net,
    /// A number to add to every port, for users who may not bind ports below 1024.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) port_offset: u16,
    /// The limit of open client connections; further ones are reset [default: half of the open files that are not
    /// reserved for other purposes].
    #[arg(long, value_name = "N")]
    pub(crate) max_connections: Option<NonZero<u64>>,
    /// The time that connections get to finish after SIGTERM, and that a peer gets to read data sent before a reset.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) drain_timeout: Duration,
    /// A file for the process id; `elbow upgrade` writes that of the new process.
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// A file that keeps the keys of TLS session tickets, so that clients resume their sessions after a restart.
    #[arg(long, value_name = "FILE")]
    pub(crate) ticket_keys: Option<PathBuf>,
    /// The system calls that copy bytes.
    #[arg(long, value_enum, default_value_t = DataPathArg::Auto)]
    pub(crate) data_path: DataPathArg,
    /// The destination of the access logs of all load balancers, in AWS's formats. A folder, which exists or ends in
    /// `/`, gets files as AWS delivers them to a bucket.
    #[arg(long, value_name = "stdout|FILE|FOLDER/|off", default_value = "off")]
    pub(crate) access_log: AccessLogArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DataPathArg {
    /// The fastest that the kernel offers.
    Auto,
    /// Only read and write.
    Portable,
}

/// `--admin-token`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenArg {
    /// The file with the token of the admin address, or `auto` for the token that elbow creates in the user's data
    /// folder.
    #[arg(long, value_name = "FILE|auto", env = "ELBOW_ADMIN_TOKEN")]
    pub(crate) admin_token: Option<TokenPlace>,
}

/// Where the admin token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenPlace {
    /// In the user's data folder.
    Auto,
    /// In this file.
    File(PathBuf),
}

impl FromStr for TokenPlace {
    type Err = Infallible;

    fn from_str(s: &str) -> Result<Self, Infallible> {
        Ok(match s {
            "auto" => Self::Auto,
            file => Self::File(file.into()),
        })
    }
}

/// An address with a port, or `off`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressOrOff(pub(crate) Option<SocketAddr>);

impl FromStr for AddressOrOff {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "off" => Ok(Self(None)),
            _ => s.parse().map(|a| Self(Some(a))).map_err(|_| {
                format!(
                    "expected an address with a port, like {DEFAULT_ADMIN}, or \"off\"; found \"{s}\""
                )
            }),
        }
    }
}

/// `--access-log`.
#[derive(Clone, Debug)]
pub(crate) enum AccessLogArg {
    Off,
    Stdout,
    File(PathBuf),
    Folder(PathBuf),
}

impl FromStr for AccessLogArg {
    type Err = Infallible;

    fn from_str(s: &str) -> Result<Self, Infallible> {
        Ok(match s {
            "off" => Self::Off,
            "stdout" => Self::Stdout,
            path if path.ends_with('/') || Path::new(path).is_dir() => Self::Folder(path.into()),
            file => Self::File(file.into()),
        })
    }
}

/// `30s`, `500ms`, `2m`, or a number of seconds.
pub(super) fn duration(s: &str) -> Result<Duration, String> {
    let digits = s.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &s[digits.len()..] {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err("expected the unit ms, s, m or h".into()),
    };
    let number: f64 = digits
        .parse()
        .map_err(|_| "expected a number with a unit, like 30s or 2m".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_takes_units() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "3 parsecs", "-1s", "1e400s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn address_may_be_off() {
        assert!("off".parse::<AddressOrOff>().unwrap().0.is_none());
        assert_eq!(
            "127.0.0.1:1".parse::<AddressOrOff>().unwrap().0,
            Some(SocketAddr::from(([127, 0, 0, 1], 1)))
        );
        assert!("9901".parse::<AddressOrOff>().is_err());
    }
}
