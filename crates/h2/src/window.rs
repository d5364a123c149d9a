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
    size: u32,
    /// Bytes that the peer may send before the next update.
    left: u32,
    /// Bytes received and used, and not yet given back.
    used: u32,
}

impl ReceiveWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            size,
            left: size,
            used: 0,
        }
    }

    /// Takes `n` bytes that arrived; `None` when the peer ignored the window.
    pub(crate) fn take(&mut self, n: usize) -> Option<()> {
        self.left = self.left.checked_sub(u32::try_from(n).ok()?)?;
        Some(())
    }

    /// Notes that `n` of the bytes were used.
    pub(crate) fn release(&mut self, n: usize) {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        self.used = self.used.saturating_add(n).min(self.size - self.left);
    }

    /// Whether an update is worth a frame: half of the window was used.
    pub(crate) fn is_due(self) -> bool {
        self.used > 0 && self.used >= self.size / 2
    }

    /// The increment that the peer gets now, if it is due.
    pub(crate) fn update(&mut self) -> Option<u32> {
        self.is_due().then(|| {
            let used = std::mem::take(&mut self.used);
            self.left += used;
            used
        })
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
        assert_eq!(window.update(), None);
        window.release(1);
        assert_eq!(window.update(), Some(50));
        assert_eq!(window.update(), None);
        assert_eq!(window.take(50), Some(()));
        // More than was received cannot be given back.
        window.release(usize::MAX);
        assert_eq!(window.update(), Some(100));
    }
}
