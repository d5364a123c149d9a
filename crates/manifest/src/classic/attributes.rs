//! The attributes of a Classic load balancer.

use std::str::FromStr;

use elbow_model::At;

use crate::annotations::parse_bool;
use crate::annotations::{Row, service as keys};
use crate::lookup::service::{Reader, Refused};
use crate::stack::{
    AccessLog, ClassicAttributes, ConnectionDraining, ConnectionSettings, CrossZone,
};

/// ELB's default for the seconds that connections may take to finish.
const DRAINING_TIMEOUT: i32 = 300;
/// ELB's default for the seconds after which an idle connection is closed.
const IDLE_TIMEOUT: i32 = 60;

/// The attributes (control-plane.md 4). `read` keeps the errors.
pub(super) fn attributes(read: &Reader<'_>) -> ClassicAttributes {
    let refused = &read.refused;
    let number = |key| refused.or_default(parsed::<i32>(read, key, "a whole number"));
    let switch = |key| {
        let off = At::new(false, read.origin(&[key]));
        refused.or(off, switch(read, key))
    };
    let text = |key| {
        let text = read.text(key).filter(|value| !value.is_empty())?;
        Some(At::new(text.to_owned(), read.origin(&[key])))
    };
    let or = |number: Option<At<i32>>, key, default| {
        number.unwrap_or_else(|| At::new(default, read.origin(&[key])))
    };
    let drain = keys::CONNECTION_DRAINING_TIMEOUT;
    let idle = keys::CONNECTION_IDLE_TIMEOUT;
    ClassicAttributes {
        access_log: AccessLog {
            enabled: switch(keys::ACCESS_LOG_ENABLED),
            emit_interval: number(keys::ACCESS_LOG_EMIT_INTERVAL),
            s3_bucket_name: text(keys::ACCESS_LOG_S3_BUCKET_NAME),
            s3_bucket_prefix: text(keys::ACCESS_LOG_S3_BUCKET_PREFIX),
        },
        connection_draining: ConnectionDraining {
            enabled: switch(keys::CONNECTION_DRAINING_ENABLED),
            timeout: or(number(drain), drain, DRAINING_TIMEOUT),
        },
        connection_settings: ConnectionSettings {
            idle_timeout: or(number(idle), idle, IDLE_TIMEOUT),
        },
        cross_zone_load_balancing: CrossZone {
            enabled: switch(keys::CROSS_ZONE_LOAD_BALANCING_ENABLED),
        },
    }
}

fn switch(read: &Reader<'_>, key: &'static Row) -> Result<At<bool>, Refused> {
    let text = read.text(key).unwrap_or_default();
    let on = match text {
        "" => Some(false),
        text => parse_bool(text),
    };
    on.map(|on| At::new(on, read.origin(&[key])))
        .ok_or_else(|| Refused::annotation(key, format!("expected true or false, found {text:?}")))
}

fn parsed<T: FromStr>(
    read: &Reader<'_>,
    key: &'static Row,
    kind: &str,
) -> Result<Option<At<T>>, Refused> {
    read.text(key)
        .filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map(|value| At::new(value, read.origin(&[key])))
                .map_err(|_| Refused::annotation(key, format!("expected {kind}, found {text:?}")))
        })
        .transpose()
}
