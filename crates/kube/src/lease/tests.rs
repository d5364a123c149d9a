//! Elections among several replicas, with a paused clock.

use std::sync::{Arc, Mutex};

use super::*;

/// A Lease in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(Option<Record>, u64)>>);

/// A replica's connection to the Lease; it blocks while closed.
struct Connection {
    memory: Memory,
    open: watch::Receiver<bool>,
    /// Whether answers to writes arrive.
    answers: watch::Receiver<bool>,
}

async fn until_true(value: &watch::Receiver<bool>) {
    drop(value.clone().wait_for(|value| *value).await);
}

impl Store for Connection {
    async fn get(&self) -> Result<Option<Record>, Error> {
        until_true(&self.open).await;
        Ok(self.memory.0.lock().unwrap().0.clone())
    }

    async fn put(&self, record: &Record) -> Result<Record, Error> {
        until_true(&self.open).await;
        let answer = self.memory.put(record);
        until_true(&self.answers).await;
        answer
    }
}

impl Memory {
    fn put(&self, record: &Record) -> Result<Record, Error> {
        let (present, writes) = &mut *self.0.lock().unwrap();
        let version = present.as_ref().map_or("", |present| &present.version);
        if version != record.version {
            let conflict = kube::core::Status::failure("changed", "Conflict").with_code(409);
            return Err(Error::Api(conflict.boxed()));
        }
        *writes += 1;
        let next = Record {
            version: writes.to_string(),
            ..record.clone()
        };
        *present = Some(next.clone());
        Ok(next)
    }
}

struct Replica {
    leading: watch::Receiver<bool>,
    open: watch::Sender<bool>,
    answers: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Replica {
    fn start(memory: &Memory, identity: &str) -> Self {
        let (open, opened) = watch::channel(true);
        let (answers, answered) = watch::channel(true);
        let (stop, stopped) = watch::channel(false);
        let (lead, leading) = watch::channel(false);
        let connection = Connection {
            memory: memory.clone(),
            open: opened,
            answers: answered,
        };
        let election = Election::new(connection, LeaseOptions::new("a", "l", identity));
        Self {
            leading,
            open,
            answers,
            stop,
            task: tokio::spawn(election.run(lead, stopped)),
        }
    }

    async fn until(&mut self, leads: bool) -> Duration {
        let start = Instant::now();
        self.leading.wait_for(|now| *now == leads).await.unwrap();
        start.elapsed()
    }

    fn leads(&self) -> bool {
        *self.leading.borrow()
    }
}

fn record(memory: &Memory) -> Record {
    memory.0.lock().unwrap().0.clone().unwrap()
}

async fn pass(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn first_leads_and_renews_while_second_waits() {
    let memory = Memory::default();
    let mut first = Replica::start(&memory, "first");
    first.until(true).await;
    let second = Replica::start(&memory, "second");
    let before = record(&memory);
    pass(300).await;
    assert!(first.leads() && !second.leads());
    let after = record(&memory);
    assert_eq!((after.holder.as_str(), after.transitions), ("first", 0));
    assert_eq!(after.acquired, before.acquired);
    assert_ne!(after.version, before.version);
}

#[tokio::test(start_paused = true)]
async fn disconnected_leader_stops_before_another_leads() {
    let memory = Memory::default();
    let mut first = Replica::start(&memory, "first");
    first.until(true).await;
    let mut second = Replica::start(&memory, "second");
    pass(60).await;
    first.open.send_replace(false);
    let (mut stopped, mut started) = (Duration::ZERO, Duration::ZERO);
    tokio::join!(async { stopped = first.until(false).await }, async {
        started = second.until(true).await;
    });
    assert!(stopped <= Duration::from_secs(10), "{stopped:?}");
    assert!(stopped < started, "{stopped:?} {started:?}");
    assert!(started <= Duration::from_secs(20), "{started:?}");
    let after = record(&memory);
    assert_eq!((after.holder.as_str(), after.transitions), ("second", 1));

    // After it reconnects, it waits.
    first.open.send_replace(true);
    pass(60).await;
    assert!(second.leads() && !first.leads());
}

#[tokio::test(start_paused = true)]
async fn stopping_leader_releases_the_lease() {
    let memory = Memory::default();
    let mut first = Replica::start(&memory, "first");
    first.until(true).await;
    let mut second = Replica::start(&memory, "second");
    pass(60).await;
    first.stop.send_replace(true);
    first.task.await.unwrap();
    assert_eq!(record(&memory).holder, "");
    let waited = second.until(true).await;
    assert!(waited <= Duration::from_secs(3), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn leader_that_stops_amid_a_renewal_releases_the_lease() {
    let memory = Memory::default();
    let mut first = Replica::start(&memory, "first");
    first.until(true).await;
    let before = record(&memory);
    first.answers.send_replace(false);
    pass(3).await;
    assert_ne!(record(&memory).version, before.version, "it was renewed");
    first.stop.send_replace(true);
    first.task.await.unwrap();
    assert_eq!(record(&memory).holder, "");
}

/// Whether the holder's clock is behind or ahead, only changes of the Lease count.
#[tokio::test(start_paused = true)]
async fn clock_of_the_holder_is_ignored() {
    for time in ["1970-01-01T00:00:00.000000Z", "2970-01-01T00:00:00.000000Z"] {
        let memory = Memory::default();
        let other = Record {
            holder: "other".to_owned(),
            duration: Duration::from_secs(15),
            renewed: time.to_owned(),
            version: "1".to_owned(),
            ..Record::default()
        };
        *memory.0.lock().unwrap() = (Some(other), 1);
        let mut own = Replica::start(&memory, "own");
        for n in 0..20 {
            pass(5).await;
            assert!(!own.leads(), "{time}");
            let mut lease = memory.0.lock().unwrap();
            lease.0.as_mut().unwrap().version = format!("1{n}");
        }
        let waited = own.until(true).await;
        assert!(waited >= Duration::from_secs(10), "{time}: {waited:?}");
        assert!(waited <= Duration::from_secs(20), "{time}: {waited:?}");
    }
}

#[test]
fn replicas_on_one_host_have_different_identities() {
    let (a, b) = (identity("node1"), identity("node1"));
    assert!(a.starts_with("node1_"));
    assert_ne!(a, b);
}
