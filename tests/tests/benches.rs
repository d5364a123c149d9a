//! Benches measure only the release profile.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::process::Command;

use elbow_tests::command::{output, stdout, texts};
use elbow_tests::{elbow, need, tools};

#[test]
fn benches_refuse_a_binary_of_another_profile() {
    let python = need!("python3");
    let version = stdout(&mut elbow::command(&["--version"]));
    if version.ends_with("(release)\n") {
        return tools::skipped("a binary of another profile");
    }
    for (script, arguments) in [
        (
            "side-by-side",
            &["--no-build", "--contestants", "elbow"][..],
        ),
        ("cluster-scale", &[]),
    ] {
        let mut bench = Command::new(&python);
        bench
            .arg(tools::repository().join("benches").join(script))
            .args(arguments)
            .arg("--elbow")
            .arg(elbow::binary());
        let done = output(&mut bench);
        let error = texts(&done).1;
        assert_eq!(done.status.code(), Some(1), "{script}: {error}");
        let expected = format!(
            "{}: {} is not the profile that ships; expected (release): cargo build --release -p elbow\n",
            elbow::binary().display(),
            version.trim_end()
        );
        assert_eq!(error, expected, "{script}");
    }
}
