use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::{SLOTS, TICK, Timer, Timers};

/// Counts its wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll(timer: &Timer, count: &Arc<Count>) -> Poll<()> {
    timer.poll_expired(&mut Context::from_waker(&Waker::from(Arc::clone(count))))
}

/// The deadline that `timer` has in the wheel.
fn armed(timer: &Timer) -> u64 {
    let lists = timer.wheel.lists.borrow();
    lists.entries.get(timer.key as usize).unwrap().deadline
}

#[test]
fn expires_after_the_timeout_and_never_early() {
    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    let timer = timers.timer(Duration::from_millis(450));
    assert!(poll(&timer, &woken).is_pending());
    // The clock may be almost a tick behind, so 4.5 ticks take 6.
    timers.advance(5);
    assert_eq!((woken.get(), poll(&timer, &woken)), (0, Poll::Pending));
    timers.advance(6);
    assert_eq!((woken.get(), poll(&timer, &woken)), (1, Poll::Ready(())));
    assert_eq!(poll(&timer, &woken), Poll::Ready(()), "stays expired");
    timer.touch();
    assert_eq!(poll(&timer, &woken), Poll::Pending, "until it is touched");
    timers.advance(12);
    assert_eq!((woken.get(), poll(&timer, &woken)), (2, Poll::Ready(())));
}

#[test]
fn activity_postpones_the_deadline_with_one_wake_up_per_period() {
    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    let timer = timers.timer(TICK * 9);
    for now in 1..=100 {
        assert!(poll(&timer, &woken).is_pending());
        timer.touch();
        timers.advance(now);
    }
    assert!(woken.get() <= 11, "{}", woken.get());
    assert!(poll(&timer, &woken).is_pending());
    // The last touch was at 99.
    timers.advance(108);
    assert!(poll(&timer, &woken).is_pending());
    timers.advance(109);
    assert!(poll(&timer, &woken).is_ready());
}

#[test]
fn long_deadline_goes_around_the_wheel_without_waking() {
    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    let timer = timers.timer(Duration::from_secs(350));
    let never = timers.timer(Duration::MAX);
    assert!(poll(&timer, &woken).is_pending());
    assert!(poll(&never, &woken).is_pending());
    for now in 1..=3500 {
        timers.advance(now);
    }
    assert_eq!(woken.get(), 0);
    timers.advance(3501);
    assert_eq!(woken.get(), 1);
    assert!(poll(&timer, &woken).is_ready());
    assert!(poll(&never, &woken).is_pending());
}

#[test]
fn clock_jump_fires_all_timers_in_between() {
    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    let all: Vec<Timer> = (0..3000).map(|n| timers.timer(TICK * n)).collect();
    for timer in &all {
        assert!(poll(timer, &woken).is_pending());
    }
    timers.advance(2000);
    // A timer of n ticks is due at n + 1.
    assert_eq!(woken.get(), 2000);
    for (n, timer) in all.iter().enumerate() {
        assert_eq!(timer.is_expired(), n < 2000, "{n}");
    }
    timers.advance(2000 + 10 * SLOTS);
    assert_eq!(woken.get(), 3000);
}

#[test]
fn reset_takes_effect_at_once_for_shorter_and_longer_timeouts() {
    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    let timer = timers.timer(Duration::from_secs(60));
    assert!(poll(&timer, &woken).is_pending());
    timer.reset(TICK);
    timers.advance(2);
    assert_eq!((woken.get(), poll(&timer, &woken)), (1, Poll::Ready(())));
    timer.reset(TICK * 4);
    assert!(poll(&timer, &woken).is_pending());
    timer.reset(TICK * 9);
    timers.advance(11);
    assert!(poll(&timer, &woken).is_pending());
    timers.advance(12);
    assert!(poll(&timer, &woken).is_ready());
}

#[test]
fn wake_all_wakes_every_registered_owner_once() {
    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    let all: Vec<Timer> = (0..10).map(|_| timers.timer(Duration::MAX)).collect();
    let unpolled = timers.timer(TICK);
    for timer in &all {
        assert!(poll(timer, &woken).is_pending());
    }
    timers.wake_all();
    assert_eq!(woken.get(), 10);
    timers.wake_all();
    assert_eq!(woken.get(), 10, "no owner has registered again");
    assert!(poll(&unpolled, &woken).is_pending());
    timers.wake_all();
    assert_eq!(woken.get(), 11);
}

#[test]
fn dropped_timer_leaves_nothing_behind() {
    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    for _ in 0..3 {
        let mut all: Vec<Timer> = (0..100).map(|_| timers.timer(TICK)).collect();
        for timer in &all {
            assert!(poll(timer, &woken).is_pending());
        }
        // From the middle, the front and the back of the list.
        drop(all.drain(40..60));
        drop(all.drain(..20));
        drop(all.pop());
        drop(all);
    }
    assert_eq!(Arc::strong_count(&woken), 1, "no waker is kept");
    timers.advance(10);
    assert_eq!(woken.get(), 0);
    let lists = timers.wheel.lists.borrow();
    assert!(lists.entries.is_empty());
    assert!(lists.entries.capacity() <= 128, "entries are reused");
}

#[test]
fn waker_may_drop_other_due_timers() {
    thread_local! {
        static VICTIMS: RefCell<Vec<Timer>> = const { RefCell::new(Vec::new()) };
    }
    struct Drops;
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            VICTIMS.with(|victims| victims.borrow_mut().clear());
        }
    }

    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    // Among timers due at the same tick, the oldest fires first.
    let first = timers.timer(TICK);
    let waker = Waker::from(Arc::new(Drops));
    assert!(
        first
            .poll_expired(&mut Context::from_waker(&waker))
            .is_pending()
    );
    for _ in 0..10 {
        let victim = timers.timer(TICK);
        assert!(poll(&victim, &woken).is_pending());
        VICTIMS.with(|victims| victims.borrow_mut().push(victim));
    }
    timers.advance(2);
    assert!(first.is_expired());
    assert_eq!(woken.get(), 0, "dropped before their turn");
    assert_eq!(timers.wheel.lists.borrow().entries.len(), 1);
}

#[test]
fn agrees_with_a_simple_list_of_timers() {
    struct Simple {
        timer: Timer,
        deadline: u64,
        after: u64,
    }

    let timers = Timers::new();
    let woken = Arc::new(Count::default());
    let mut simple: Vec<Simple> = Vec::new();
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for _ in 0..20_000 {
        let now = timers.now();
        let index = random(simple.len() as u64 + 1) as usize;
        // Short ones, and ones longer than a turn of the wheel.
        let after = random(2000) * random(2);
        let length = TICK * u32::try_from(after).unwrap();
        let many = simple.len() > 50;
        match (random(6), simple.get_mut(index)) {
            (0, None) | (1, _) => simple.push(Simple {
                timer: timers.timer(length),
                deadline: now + after + 1,
                after: after + 1,
            }),
            (2, Some(one)) => {
                one.timer.touch();
                one.deadline = now + one.after;
            }
            (3, Some(one)) => {
                one.timer.reset(length);
                (one.deadline, one.after) = (now + after + 1, after + 1);
            }
            (4, Some(_)) if many => drop(simple.swap_remove(index)),
            _ => {}
        }
        for one in &simple {
            assert_eq!(poll(&one.timer, &woken).is_ready(), one.deadline <= now);
        }
        let now = now + random(40);
        let due = simple
            .iter()
            .filter(|s| armed(&s.timer) <= now && s.deadline > timers.now());
        let (due, before) = (due.count(), woken.get());
        timers.advance(now);
        assert_eq!(woken.get() - before, due, "exactly the owners that are due");
    }
    assert!(simple.len() > 20);
}
