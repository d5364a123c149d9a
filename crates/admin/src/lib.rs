//! The operator's door: metrics, health, targets and the configuration in force.
