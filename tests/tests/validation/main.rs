//! elbow refuses the manifests that a real API server refuses, and no others.
//!
//! A seeded generator makes variants of good manifests with one fault each. Both answer: elbow by a call, the API server as
//! `kubectl apply --dry-run=server` asks it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of tests panic as tests do"
)]

mod combinations;
mod exceptions;
mod faults;
mod good;
mod kubectl;
mod random;
mod server;
mod tenant;
mod tree;
mod values;
mod verdict;

use std::collections::BTreeMap;
use std::fmt::Write;

use elbow_tests::cluster::{Access, ControlPlane};
use elbow_tests::tools;

use faults::Variant;
use random::Random;
use server::{Answer, Server};
use verdict::Fault;

const SEED: u64 = 12;
/// So many manifests go through kubectl.
const KUBECTL: usize = 20;

fn variants() -> Vec<Variant> {
    let mut random = Random(SEED);
    let originals = good::originals();
    let all = originals
        .iter()
        .flat_map(|original| faults::variants(original, &mut random));
    all.collect()
}

#[test]
fn every_refusal_has_a_place_in_the_manifest() {
    let variants = variants();
    assert!(variants.len() >= 1000, "{} variants", variants.len());
    for variant in &variants {
        let lines = u32::try_from(variant.yaml.lines().count()).unwrap();
        for fault in verdict::of(&variant.yaml) {
            let is_inside = (1..=lines).contains(&fault.line) && fault.column >= 1;
            assert!(is_inside, "{}: {fault:?}\n{}", variant.name(), variant.yaml);
        }
    }
}

#[test]
fn elbow_and_the_api_server_refuse_the_same() {
    let plane = match ControlPlane::start_dual_stack() {
        Ok(plane) => plane,
        Err(missing) => return tools::skipped(&missing),
    };
    tenant::define(&plane);
    let mut variants = good::manifests();
    let good = variants.len();
    variants.extend(self::variants());
    let answers = Server::new(&plane).ask_all(&variants);
    kubectl_agrees(&plane, &variants, &answers);
    let verdicts: Vec<Vec<Fault>> = variants
        .iter()
        .map(|variant| verdict::of(&variant.yaml))
        .collect();

    let mut wrong = String::new();
    let mut excepted = exceptions::Used::default();
    let mut counts = BTreeMap::<&str, [usize; 2]>::new();
    let mut kinds = BTreeMap::<&str, [usize; 2]>::new();
    for ((variant, answer), verdict) in variants.iter().zip(&answers).zip(&verdicts) {
        let refused = usize::from(answer.is_refusal());
        for count in [
            counts.entry(variant.fault).or_default(),
            kinds.entry(&variant.kind).or_default(),
        ] {
            count[0] += 1;
            count[1] += refused;
        }
        if answer.is_refusal() == verdict.is_empty() && !excepted.covers(variant, answer) {
            describe(&mut wrong, variant, answer, verdict);
        }
    }
    let fields = fields(&variants, &answers, &verdicts, &mut wrong);
    println!(
        "{} good manifests, {} variants; [all, refused]:",
        good,
        variants.len() - good
    );
    println!(
        "by fault {counts:?}\nby kind {kinds:?}\nfields of refusals [named, the same]: {fields:?}"
    );
    assert!(wrong.is_empty(), "{wrong}");
    excepted.assert_all_used();
}

/// kubectl and the API server, asked without it, give the same answers. kubectl drops all but the last of repeated fields, so
/// elbow and the API server refuse what it applies.
fn kubectl_agrees(access: &Access, variants: &[Variant], answers: &[Answer]) {
    let of_a_kind = variants
        .iter()
        .zip(answers)
        .filter(|(variant, _)| variant.fault != "repeated field");
    let sample = Random(SEED).sample(of_a_kind.collect(), KUBECTL);
    let asked: Vec<&Variant> = sample.iter().map(|(variant, _)| *variant).collect();
    let refused = sample
        .iter()
        .filter(|(_, answer)| answer.is_refusal())
        .count();
    println!("kubectl is asked {KUBECTL} times; {refused} are refused");
    for ((variant, answer), (is_refused, said)) in
        sample.iter().zip(kubectl::answers(access, &asked))
    {
        assert_eq!(
            answer.is_refusal(),
            is_refused,
            "{}: {said}{}",
            variant.name(),
            answer.message()
        );
    }
}

fn describe(text: &mut String, variant: &Variant, answer: &Answer, verdict: &[Fault]) {
    let name = variant.name();
    match (answer, verdict.first()) {
        (Answer::Refused { message, .. }, _) => {
            writeln!(text, "SERVER {name}\n       {message}").unwrap();
        }
        (Answer::Accepted, Some(fault)) => {
            writeln!(
                text,
                "ELBOW  {name}\n       {} {}",
                fault.code, fault.message
            )
            .unwrap();
        }
        (Answer::Accepted, None) => {}
    }
}

/// How many refusals name fields, and in how many of them elbow names the same ones.
fn fields(
    variants: &[Variant],
    answers: &[Answer],
    verdicts: &[Vec<Fault>],
    wrong: &mut String,
) -> [usize; 2] {
    let mut counts = [0; 2];
    for ((variant, answer), verdict) in variants.iter().zip(answers).zip(verdicts) {
        let Answer::Refused { fields, message } = answer else {
            continue;
        };
        if fields.is_empty() || verdict.is_empty() {
            continue;
        }
        counts[0] += 1;
        let missing = fields.iter().find(|field| {
            let is_named = |fault: &Fault| {
                exceptions::is_same_field(&fault.path, field)
                    || exceptions::is_consequence(&fault.path, field)
            };
            !verdict.iter().any(is_named) && !exceptions::is_excused(field, message)
        });
        match missing {
            None => counts[1] += 1,
            Some(field) => {
                let ours: Vec<&str> = verdict.iter().map(|fault| &*fault.path).collect();
                writeln!(
                    wrong,
                    "FIELD  {}\n       {field} is not in {ours:?}: {message}",
                    variant.name()
                )
                .unwrap();
            }
        }
    }
    counts
}
