//! Tools of the benches.
