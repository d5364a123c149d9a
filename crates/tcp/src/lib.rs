//! Layer 4 of NLB and CLB: passthrough of TCP.
