use std::cell::RefCell;

use elbow_model::{HealthCheckSpec, Personality, Protocol};
use elbow_net::{ConnectError, ConnectErrorKind};
use tokio::net::TcpStream;

use super::*;

const INTERVAL: Duration = Duration::from_secs(30);

/// Fails after the next of its durations, and records when each check started.
struct Slow {
    begun: Instant,
    takes: RefCell<Vec<u64>>,
    asked: RefCell<Vec<u64>>,
}

impl Connect for Slow {
    type Io = TcpStream;

    async fn connect_with(
        &self,
        _target: SocketAddr,
        _tls: bool,
        _preface: &[u8],
    ) -> Result<TcpStream, ConnectError> {
        self.asked.borrow_mut().push(self.begun.elapsed().as_secs());
        let takes = self.takes.borrow_mut().pop().unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(takes)).await;
        let kind = ConnectErrorKind::Refused;
        Err(ConnectError { kind, source: None })
    }
}

fn check(timeout: u64) -> HealthCheck {
    let spec = HealthCheckSpec::default();
    let mut check = HealthCheck::new(&spec, Protocol::Tcp).value.unwrap();
    (check.interval, check.timeout) = (INTERVAL, Duration::from_secs(timeout));
    check
}

/// The start times (seconds) and outcomes of the checks within `total` seconds.
async fn watched(takes: &[u64], timeout: u64, delay: u64, total: u64) -> (Vec<u64>, Vec<Outcome>) {
    let connector = Slow {
        begun: Instant::now(),
        takes: RefCell::new(takes.iter().rev().copied().collect()),
        asked: RefCell::new(Vec::new()),
    };
    let mut outcomes = Vec::new();
    let target = ([127, 0, 0, 1], 1).into();
    let check = check(timeout);
    let delay = Duration::from_secs(delay);
    let prober = Prober {
        host: "h".to_owned(),
        user_agent: Personality::APPLICATION.health_check_user_agent,
        preface: Vec::new(),
    };
    let checks = run(
        &connector,
        &check,
        target,
        &prober,
        delay,
        |Checkup { outcome, .. }| outcomes.push(outcome),
    );
    let ended = tokio::time::timeout(Duration::from_secs(total), checks).await;
    assert!(ended.is_err());
    (connector.asked.into_inner(), outcomes)
}

fn refused() -> Outcome {
    Outcome::Failed("connection refused".to_owned())
}

/// Parity 1.9: the interval is measured from start to start; the first check is immediate.
#[tokio::test(start_paused = true)]
async fn checks_start_at_every_interval() {
    let (asked, outcomes) = watched(&[0, 4, 2, 0], 5, 0, 100).await;
    assert_eq!(asked, [0, 30, 60, 90]);
    assert_eq!(outcomes, [refused(), refused(), refused(), refused()]);
}

#[tokio::test(start_paused = true)]
async fn delay_spreads_the_checks() {
    let (asked, _) = watched(&[], 5, 7, 100).await;
    assert_eq!(asked, [7, 37, 67, 97]);
}

/// The timeout limits the whole check, and a slow check does not shift the others.
#[tokio::test(start_paused = true)]
async fn slow_check_times_out() {
    let (asked, outcomes) = watched(&[20, 0], 5, 0, 50).await;
    assert_eq!(asked, [0, 30]);
    assert_eq!(outcomes, [Outcome::Timeout, refused()]);
}

/// Checks of one target never overlap: missed ones are skipped.
#[tokio::test(start_paused = true)]
async fn check_longer_than_the_interval_skips_the_next() {
    let (asked, outcomes) = watched(&[40, 0], 45, 0, 100).await;
    assert_eq!(asked, [0, 40, 60, 90]);
    assert_eq!(outcomes.len(), 4);
}
