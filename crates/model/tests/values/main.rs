//! What constructors make of what was said, and what they refuse. Ranges and combinations are those of the ELBv2 API
//! reference and of the ALB, NLB and CLB guides.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod kit;

mod actions;
mod attribute_texts;
mod attributes;
mod certificates;
mod classic;
mod conditions;
mod groups;
mod health_checks;
mod instances;
mod listeners;
mod load_balancers;
mod network_rules;
