//! The lines of the connection logs.

use std::time::SystemTime;

use elbow_net::{ConnMeta, Connect};
use elbow_telemetry::{ConnectionRecord, VerifyStatus};

use super::lines::connection_id;
use crate::context::Context;
use crate::listener::Listener;

/// Logs a connection that is ready for requests; `id` names it in the access log as well.
pub(crate) fn established<C: Connect>(context: &Context<C>, meta: &ConnMeta, id: u64) {
    let listener = (context.listener)();
    if listener.connection_log.is_some() {
        let status = match (&meta.tls, listener.endpoint.https) {
            (Some(_), _) => Some(VerifyStatus::Success),
            // A client that speaks plain HTTP to an HTTPS listener.
            (None, true) => Some(VerifyStatus::Failed(UNMAPPED)),
            (None, false) => None,
        };
        write(context, &listener, meta, (id, status));
    }
}

/// AWS's code for a failed handshake that has no code of its own (ALB guide: connection logs).
const UNMAPPED: &str = "UnmappedConnectionError";

/// Logs a failed TLS handshake, after which there is no connection; `code` is AWS's.
pub fn failed<C: Connect>(
    context: &Context<C>,
    listener: &Listener,
    meta: &ConnMeta,
    code: &'static str,
) {
    let id = context.worker.random();
    let status = Some(VerifyStatus::Failed(code));
    write(context, listener, meta, (id, status));
}

fn write<C: Connect>(
    context: &Context<C>,
    listener: &Listener,
    meta: &ConnMeta,
    (id, tls_verify_status): (u64, Option<VerifyStatus>),
) {
    let Some(log) = &listener.connection_log else {
        return;
    };
    let tls = meta.tls.as_deref();
    let certificate = tls.and_then(|tls| tls.client_certificate.as_deref());
    let is_complete = tls_verify_status == Some(VerifyStatus::Success);
    let id = connection_id(id);
    let record = ConnectionRecord {
        time: SystemTime::now(),
        client: meta.client,
        listener_port: listener.endpoint.port,
        tls_protocol: tls.map(|tls| tls.version),
        tls_cipher: tls.map(|tls| tls.cipher),
        tls_handshake_latency: tls.filter(|_| is_complete).map(|tls| tls.handshake),
        leaf_client_cert_subject: certificate.map(|one| &*one.subject),
        leaf_client_cert_validity: certificate.map(|one| &*one.validity),
        leaf_client_cert_serial_number: certificate.map(|one| &*one.serial_number),
        tls_verify_status,
        conn_trace_id: str::from_utf8(&id).unwrap_or_default(),
        tls_keyexchange: tls.and_then(|tls| tls.key_exchange),
    };
    context.logs.connection(log, &record);
}
