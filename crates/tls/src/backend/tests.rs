use super::*;
use crate::policy;

/// Parity 2.1: the table of backend policies.
#[test]
fn policy_of_the_listener_decides() {
    for (listener, backend) in [
        ("2016-08", "2016-08"),
        ("FS-1-2-Res-2020-10", "2016-08"),
        ("TLS13-1-2-2021-06", "TLS13-1-0-2021-06"),
        ("TLS13-1-3-2021-06", "TLS13-1-0-2021-06"),
        ("TLS13-1-2-Res-PQ-2025-09", "TLS13-1-0-PQ-2025-09"),
        ("TLS13-1-2-Ext2-FIPS-2023-04", "TLS13-1-0-FIPS-2023-04"),
        ("TLS13-1-3-FIPS-PQ-2025-09", "TLS13-1-0-FIPS-PQ-2025-09"),
        (
            "TLS13-1-3-RFC9151-FIPS-2023-07",
            "TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07",
        ),
    ] {
        let listener = policy(&format!("ELBSecurityPolicy-{listener}")).unwrap();
        let name = BackendPolicy::behind(&listener).name();
        assert_eq!(name, format!("ELBSecurityPolicy-{backend}"));
    }
}
