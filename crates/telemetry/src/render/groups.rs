//! The families of the requests of target groups.

use std::fmt;
use std::sync::Arc;

use super::family::{Families, Label};
use crate::counter::HistogramSum;
use crate::{Counter, GroupCells, GroupMetrics};

/// Writes the families of the requests of `groups`. A group has series from its first request on.
pub(super) fn requests(groups: &[Arc<GroupMetrics>], families: &mut Families<'_>) -> fmt::Result {
    let used: Vec<&GroupMetrics> = groups
        .iter()
        .map(|group| &**group)
        .filter(|group| group.cells().next().is_some())
        .collect();
    for (name, help, counter) in [
        (
            "elbow_group_requests",
            "Requests for which a target of the group was chosen",
            (|c| &c.requests) as fn(&GroupCells) -> &Counter,
        ),
        (
            "elbow_group_connect_errors",
            "Connections to targets of the group that could not be opened",
            |c| &c.connect_errors,
        ),
        (
            "elbow_group_tls_errors",
            "Failed TLS handshakes with targets of the group",
            |c| &c.tls_errors,
        ),
    ] {
        let mut family = families.counter(name, help, None)?;
        for group in &used {
            let sum = group.cells().map(|cells| counter(cells).get()).sum();
            family.series(&[label(group)], sum)?;
        }
    }
    let mut family = families.counter(
        "elbow_group_responses",
        "Responses of targets of the group, by the class of their status",
        None,
    )?;
    for group in &used {
        let of_workers = group.cells().map(|cells| cells.responses.get());
        let sums = of_workers.fold([0; CLASSES.len()], |mut sums, counts| {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += count;
            }
            sums
        });
        for (class, count) in CLASSES.into_iter().zip(sums) {
            let class = Label::new("class", class);
            family.series(&[label(group), class], count)?;
        }
    }
    let mut family = families.histogram(
        "elbow_group_response_time",
        "Time from request sent to first byte of the response of a target of the group",
    )?;
    for group in &used {
        let mut sum = HistogramSum::default();
        for cells in group.cells() {
            sum.add(&cells.response_time);
        }
        family.series(&[label(group)], &sum)?;
    }
    Ok(())
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

fn label(group: &GroupMetrics) -> Label<'_> {
    Label::new("target_group", &**group.name())
}
