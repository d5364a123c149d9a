//! `elbow plan`: manifests of files and folders become the stacks that AWS's controller recorded.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::path::{Path, PathBuf};
use std::process::Output;

use elbow_tests::elbow;
use serde_json::Value;

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden/lbc")
        .join(path)
}

fn plan(manifests: &[PathBuf]) -> Output {
    let mut arguments = vec!["plan".to_owned(), "-o".into(), "stack".into()];
    arguments.extend([
        "--environment".into(),
        golden("environment.yaml").display().to_string(),
    ]);
    for path in manifests {
        arguments.extend(["-f".into(), path.display().to_string()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    elbow::command(&arguments).output().unwrap()
}

fn ids(output: &Output) -> Vec<String> {
    let stacks: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids = stacks
        .as_array()
        .unwrap()
        .iter()
        .map(|stack| stack["id"].as_str().unwrap());
    ids.map(str::to_owned).collect()
}

fn recorded_id(case: &str) -> String {
    let text = std::fs::read_to_string(golden(case).join("expected.json")).unwrap();
    let stack: Value = serde_json::from_str(&text).unwrap();
    stack["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_manifest_becomes_its_stack() {
    let output = plan(&[golden("v003-service/input.yaml")]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(ids(&output), [recorded_id("v003-service")]);
}

#[test]
fn a_stack_that_is_refused_is_left_out_and_told() {
    let output = plan(&[golden("v098-service/input.yaml")]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(ids(&output), [""; 0]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("error["), "{told}");
    assert!(told.contains("v098-service/input.yaml:"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_an_error_of_the_input() {
    let output = plan(&[golden("none.yaml")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[unreadable-file]"));
}
