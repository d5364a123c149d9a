//! How long to wait before what failed is tried again.

use std::time::Duration;

/// Before the first retry.
const FIRST: Duration = Duration::from_millis(500);
/// Between retries at most.
const LONGEST: Duration = Duration::from_secs(15);

/// Delays between retries: each is twice the one before, from half a second to 15 seconds.
///
/// ```
/// use std::time::Duration;
/// use elbow_desired::Retry;
///
/// let mut retry = Retry::default();
/// assert_eq!([retry.next(), retry.next()], [500, 1000].map(Duration::from_millis));
/// retry.reset();
/// assert_eq!(retry.next(), Duration::from_millis(500));
/// ```
#[derive(Clone, Debug)]
pub struct Retry(Duration);

impl Default for Retry {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Retry {
    /// The delay before the next retry.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, and is not iterated over"
    )]
    pub fn next(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(LONGEST);
        delay
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
