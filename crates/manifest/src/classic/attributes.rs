//! The attributes of a Classic load balancer.

use std::str::FromStr;

use super::spec::{
    AccessLog, ClassicAttributes, ConnectionDraining, ConnectionSettings, CrossZone,
};
use crate::service::read::{Reader, Refused};

/// Seconds that ELB gives connections to finish unless told otherwise.
const DRAINING_TIMEOUT: u32 = 300;
/// Seconds after which ELB closes an idle connection unless told otherwise.
const IDLE_TIMEOUT: u32 = 60;

/// Section 4, the rows that set attributes.
pub(super) fn attributes(read: &Reader<'_>) -> Result<ClassicAttributes, Refused> {
    let number = |key| parsed::<u32>(read, key, "a whole number");
    let text = |key| {
        read.text(key)
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
    };
    Ok(ClassicAttributes {
        access_log: AccessLog {
            enabled: switch(read, "aws-load-balancer-access-log-enabled")?,
            emit_interval: number("aws-load-balancer-access-log-emit-interval")?,
            s3_bucket_name: text("aws-load-balancer-access-log-s3-bucket-name"),
            s3_bucket_prefix: text("aws-load-balancer-access-log-s3-bucket-prefix"),
        },
        connection_draining: ConnectionDraining {
            enabled: switch(read, "aws-load-balancer-connection-draining-enabled")?,
            timeout: number("aws-load-balancer-connection-draining-timeout")?
                .unwrap_or(DRAINING_TIMEOUT),
        },
        connection_settings: ConnectionSettings {
            idle_timeout: number("aws-load-balancer-connection-idle-timeout")?
                .unwrap_or(IDLE_TIMEOUT),
        },
        cross_zone_load_balancing: CrossZone {
            enabled: switch(read, "aws-load-balancer-cross-zone-load-balancing-enabled")?,
        },
    })
}

fn switch(read: &Reader<'_>, key: &'static str) -> Result<bool, Refused> {
    let Some(text) = read.text(key).filter(|text| !text.is_empty()) else {
        return Ok(false);
    };
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(Refused::annotation(
            key,
            format!("{text:?} is neither true nor false"),
        )),
    }
}

fn parsed<T: FromStr>(
    read: &Reader<'_>,
    key: &'static str,
    kind: &str,
) -> Result<Option<T>, Refused> {
    read.text(key)
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|_| Refused::annotation(key, format!("{text:?} is not {kind}")))
        })
        .transpose()
}
