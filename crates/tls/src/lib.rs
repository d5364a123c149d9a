//! Security policies, the SNI certificate store, termination and origination.
