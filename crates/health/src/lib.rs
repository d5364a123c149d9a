//! The target health state machine and its probers.
