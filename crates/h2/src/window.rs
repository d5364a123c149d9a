//! Flow-control windows (RFC 9113, 5.2).

use crate::frame::MAX_31;

/// The window of every stream and connection before it is changed.
pub(crate) const DEFAULT: u32 = 65_535;

/// What this side may send. A smaller initial window in SETTINGS can make it negative.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendWindow(i64);

impl SendWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// Bytes that may be sent now.
    pub(crate) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Takes `n` available bytes.
    pub(crate) fn take(&mut self, n: usize) {
        self.0 -= i64::try_from(n).unwrap_or(i64::MAX);
    }

    /// Changes it by `delta`; `None` when it would exceed the largest window.
    pub(crate) fn change(&mut self, delta: i64) -> Option<()> {
        let window = self.0.saturating_add(delta);
        (window <= i64::from(MAX_31)).then(|| self.0 = window)
    }
}

/// What the peer may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveWindow {
    /// What was left and held after the last update.
    size: u32,
    /// Bytes that the peer may send before the next update.
    left: u32,
    /// Bytes received and not released.
    held: u32,
}

impl ReceiveWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            size,
            left: size,
            held: 0,
        }
    }

    /// Takes `n` bytes that arrived; `None` when the peer ignored the window.
    pub(crate) fn take(&mut self, n: usize) -> Option<()> {
        let n = u32::try_from(n).ok()?;
        self.left = self.left.checked_sub(n)?;
        self.held = self.held.saturating_add(n);
        Some(())
    }

    /// Bytes that the peer may send before the next update.
    pub(crate) fn left(self) -> u32 {
        self.left
    }

    /// Notes that `n` of the bytes were used.
    pub(crate) fn release(&mut self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        self.held = self.held.saturating_sub(n);
    }

    /// The increment after which the window and what is held make `size`, if it is worth a frame: half of
    /// the window was used. A window that is larger shrinks as the peer uses it.
    pub(crate) fn due(self, size: u32) -> Option<u32> {
        let outstanding = self.left.saturating_add(self.held);
        let used = self.size.saturating_sub(outstanding);
        let increment = size.saturating_sub(outstanding);
        (increment > 0 && used > 0 && used >= self.size / 2).then_some(increment)
    }

    /// Returns the increment that the peer gets now, if it is due.
    pub(crate) fn update(&mut self, size: u32) -> Option<u32> {
        let increment = self.due(size)?;
        self.left += increment;
        self.size = self.left + self.held;
        Some(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn send_window_may_be_negative_but_not_too_large() {
        let mut window = SendWindow::new(10);
        window.take(10);
        assert_eq!(window.change(-5), Some(()));
        assert_eq!(window.available(), 0);
        assert_eq!(window.change(i64::from(MAX_31) + 5), Some(()));
        assert_eq!(window.available(), MAX_31 as usize);
        assert_eq!(window.change(1), None);
    }

    #[test]
    fn receive_window_is_given_back_by_halves() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.take(101), None);
        assert_eq!(window.take(100), Some(()));
        assert_eq!(window.take(1), None);
        window.release(49);
        assert_eq!(window.update(100), None);
        window.release(1);
        assert_eq!(window.update(100), Some(50));
        assert_eq!(window.update(100), None);
        assert_eq!(window.take(50), Some(()));
        // More than was received cannot be given back.
        window.release(usize::MAX);
        assert_eq!(window.update(100), Some(100));
    }

    #[test]
    fn receive_window_follows_its_size() {
        let mut window = ReceiveWindow::new(100);
        assert_eq!(window.take(60), Some(()));
        // It grows once half of it was used.
        assert_eq!(window.update(1000), None);
        window.release(50);
        assert_eq!(window.update(1000), Some(950));
        // 990 left and 10 held: what was granted cannot be taken back.
        assert_eq!(window.take(900), Some(()));
        window.release(800);
        assert_eq!(window.update(100), None);
        window.release(110);
        assert_eq!(window.update(100), Some(10));
        assert_eq!(window.take(100), Some(()));
        window.release(49);
        assert_eq!(window.update(100), None);
        window.release(1);
        assert_eq!(window.update(100), Some(50));
    }
}
