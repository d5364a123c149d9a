//! Thresholds of healthy targets.

/// How many targets must be healthy (ALB guide and NLB guide: target groups).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MinimumHealthy {
    /// `minimum_healthy_targets.count`: 1 unless configured; 0 is off.
    pub count: u32,
    /// `minimum_healthy_targets.percentage`, of those that are registered; 0 is off.
    pub percentage: u32,
}

impl MinimumHealthy {
    /// Whether neither limit is undercut.
    ///
    /// ```
    /// use elbow_model::MinimumHealthy;
    ///
    /// let minimum = MinimumHealthy { count: 1, percentage: 50 };
    /// assert!(minimum.is_met(2, 4));
    /// assert!(!minimum.is_met(1, 4));
    /// ```
    pub fn is_met(self, healthy: usize, registered: usize) -> bool {
        healthy >= self.count as usize && healthy * 100 >= registered * self.percentage as usize
    }
}

impl Default for MinimumHealthy {
    fn default() -> Self {
        Self {
            count: 1,
            percentage: 0,
        }
    }
}
