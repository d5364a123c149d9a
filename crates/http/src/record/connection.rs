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
        let status = meta.tls.is_some().then_some(VerifyStatus::Success);
        write(context, &listener, meta, (id, status));
    }
}

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
    let id = connection_id(id);
    let record = ConnectionRecord {
        time: SystemTime::now(),
        client: meta.client,
        listener_port: listener.endpoint.port,
        tls_protocol: tls.map(|tls| tls.version),
        tls_cipher: tls.map(|tls| tls.cipher),
        tls_handshake_latency: tls.map(|tls| tls.handshake),
        leaf_client_cert_subject: None,
        leaf_client_cert_validity: None,
        leaf_client_cert_serial_number: None,
        tls_verify_status,
        conn_trace_id: str::from_utf8(&id).unwrap_or_default(),
        tls_keyexchange: tls.and_then(|tls| tls.key_exchange),
    };
    context.logs.connection(log, &record);
}
