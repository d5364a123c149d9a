use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::field::{address, digits, number, token};
use crate::stamp::Timestamps;

/// One health check of a target of an ALB, written as a line of its health check log with the fields in AWS's
/// order (ALB guide: health check logs).
#[derive(Clone, Debug)]
pub struct HealthRecord<'a> {
    /// 1: `http`, `https`, `h2` or `grpc`.
    pub kind: &'static str,
    /// 2: when the check began.
    pub time: SystemTime,
    /// 3: how long it took.
    pub latency: Duration,
    /// 4: where it was sent.
    pub target: SocketAddr,
    /// 5: the name of the group.
    pub target_group: &'a str,
    /// 7: the status code of the response, or the code of gRPC.
    pub status_code: Option<u16>,
    /// 6 and 8: why it failed, in AWS's words; `None` if it passed.
    pub failure: Option<&'static str>,
}

impl HealthRecord<'_> {
    /// The line, including the line feed.
    pub fn line(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(self.kind.as_bytes());
        out.push(b' ');
        Timestamps::default().write(self.time, &mut out);
        out.push(b' ');
        number(&mut out, self.latency.as_secs());
        out.push(b'.');
        out.extend_from_slice(&digits::<9>(self.latency.subsec_nanos()));
        out.push(b' ');
        address(&mut out, self.target);
        out.push(b' ');
        token(&mut out, self.target_group.as_bytes());
        out.extend_from_slice(match self.failure {
            Some(_) => b" FAIL ",
            None => b" PASS ",
        });
        match self.status_code {
            Some(code) => number(&mut out, code.into()),
            None => out.push(b'-'),
        }
        out.push(b' ');
        token(&mut out, self.failure.unwrap_or_default().as_bytes());
        out.push(b'\n');
        out
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn line(record: &HealthRecord<'_>) -> String {
        String::from_utf8(record.line()).unwrap()
    }

    // ALB guide, health check logs: the example, and 8 fields.
    #[test]
    fn line_matches_the_guide() {
        let failed = HealthRecord {
            kind: "http",
            time: UNIX_EPOCH + Duration::from_micros(1_761_914_698_901_409),
            latency: Duration::new(1, 121_980_746),
            target: "172.31.31.9:80".parse().unwrap(),
            target_group: "HCLogsTestIPs",
            status_code: Some(502),
            failure: Some("TargetError"),
        };
        assert_eq!(
            line(&failed),
            "http 2025-10-31T12:44:58.901409Z 1.121980746 172.31.31.9:80 HCLogsTestIPs FAIL 502 TargetError\n"
        );
        let passed = HealthRecord {
            latency: Duration::from_nanos(7),
            status_code: Some(200),
            failure: None,
            ..failed.clone()
        };
        assert!(line(&passed).ends_with(" 0.000000007 172.31.31.9:80 HCLogsTestIPs PASS 200 -\n"));
        let timed_out = HealthRecord {
            status_code: None,
            failure: Some("TimedOut"),
            ..failed
        };
        assert!(line(&timed_out).ends_with(" FAIL - TimedOut\n"));
    }
}
