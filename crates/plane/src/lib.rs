//! Joins the rooms: starts, changes, drains and stops listeners as snapshots arrive.
