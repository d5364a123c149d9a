//! The kit of the whole-binary tests.
