//! Counters, histograms, access-log records and their sinks.
