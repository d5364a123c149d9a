//! S3 through an ALB and an NLB with common clients, on embedded pods and on real MinIO: signatures
//! verify, bytes are unchanged, and a pod may restart.
#![allow(clippy::unwrap_used, reason = "the helpers of tests panic as tests do")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use elbow_tests::command::{Running, stdout};
use elbow_tests::s3::{ACCESS_KEY, S3, SECRET_KEY};
use elbow_tests::{need, need_python};

/// A file of several parts, for upload and download.
fn sample(s3: &S3) -> (std::path::PathBuf, Vec<u8>) {
    let bytes: Vec<u8> = (0..20_000_001_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    (s3.dir().write("sample", &bytes), bytes)
}

fn boto3(s3: &S3, python: &Path) {
    for endpoint in s3.endpoints() {
        for name in ["round-trip", "presigned", "ranges", "odd-keys", "expect"] {
            println!("{name} through {}", endpoint.url());
            assert_eq!(stdout(&mut endpoint.scenario(python, name, &[])), "good\n");
        }
    }
}

fn aws_cli(s3: &S3, python: &Path) {
    let (path, bytes) = sample(s3);
    for (n, endpoint) in s3.endpoints().iter().enumerate() {
        println!("aws through {}", endpoint.url());
        let bucket = format!("s3://aws-{n}");
        let back = s3.dir().join(format!("aws-{n}"));
        let key = format!("{bucket}/a folder/ü+name");
        stdout(endpoint.aws(python).args(["s3", "mb", &bucket]));
        stdout(endpoint.aws(python).args([
            "s3",
            "cp",
            "--no-progress",
            path.to_str().unwrap(),
            &key,
        ]));
        stdout(endpoint.aws(python).args([
            "s3",
            "cp",
            "--no-progress",
            &key,
            back.to_str().unwrap(),
        ]));
        assert!(std::fs::read(back).unwrap() == bytes, "not the same bytes");
        let list = stdout(
            endpoint
                .aws(python)
                .args(["s3", "ls", "--recursive", &bucket]),
        );
        assert!(list.contains("20000001 a folder/ü+name"), "{list}");
    }
}

fn s5cmd(s3: &S3, program: &Path) {
    let (path, bytes) = sample(s3);
    for (n, endpoint) in s3.endpoints().iter().enumerate() {
        let url = endpoint.url_by_address();
        println!("s5cmd through {url}");
        let run = |args: &[&str]| {
            stdout(
                Command::new(program)
                    .args([
                        "--endpoint-url",
                        &url,
                        "--no-verify-ssl",
                        "--retry-count",
                        "0",
                    ])
                    .args(args)
                    .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
                    .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
                    .env("AWS_REGION", "us-east-1"),
            )
        };
        let bucket = format!("s3://s5cmd-{n}");
        let back = s3.dir().join(format!("s5cmd-{n}"));
        run(&["mb", &bucket]);
        run(&[
            "cp",
            "--part-size",
            "5",
            path.to_str().unwrap(),
            &format!("{bucket}/a b+c"),
        ]);
        run(&[
            "cp",
            "--part-size",
            "5",
            &format!("{bucket}/a b+c"),
            back.to_str().unwrap(),
        ]);
        assert!(std::fs::read(back).unwrap() == bytes, "not the same bytes");
        assert!(
            run(&["ls", &format!("{bucket}/")]).contains("20000001"),
            "listed"
        );
    }
}

fn mc(s3: &S3, program: &Path) {
    let (path, bytes) = sample(s3);
    for (n, endpoint) in s3.endpoints().iter().enumerate() {
        let url = endpoint.url_by_address();
        println!("mc through {url}");
        let config = s3.dir().join("mc");
        let run = |args: &[&str]| {
            stdout(
                Command::new(program)
                    .args([
                        "--insecure",
                        "--quiet",
                        "--config-dir",
                        config.to_str().unwrap(),
                    ])
                    .args(args),
            )
        };
        let (bucket, back) = (format!("lb{n}/mc-{n}"), s3.dir().join(format!("mc-{n}")));
        run(&[
            "alias",
            "set",
            &format!("lb{n}"),
            &url,
            ACCESS_KEY,
            SECRET_KEY,
            "--api",
            "S3v4",
        ]);
        run(&["mb", &bucket]);
        run(&["cp", path.to_str().unwrap(), &format!("{bucket}/a b+c")]);
        run(&["cp", &format!("{bucket}/a b+c"), back.to_str().unwrap()]);
        assert!(std::fs::read(back).unwrap() == bytes, "not the same bytes");
        assert!(run(&["ls", &bucket]).contains("a b+c"), "listed");
    }
}

fn thousand_requests(s3: &S3, python: &Path) {
    let gate = s3.dir().join("gate");
    let endpoint = &s3.endpoints()[0];
    let mut asking =
        Running::start(&mut endpoint.scenario(python, "keep-alive", &[gate.to_str().unwrap()]));
    let limit = Duration::from_secs(120);
    assert_eq!(asking.line_within(limit), "at 300");
    s3.kill(1);
    s3.dir().write("gate.300", "");
    assert_eq!(asking.line_within(limit), "at 600");
    s3.restore(1);
    s3.dir().write("gate.600", "");
    assert_eq!(asking.line_within(limit), "good");
    assert!(asking.wait().success());
}

#[test]
fn boto3_on_embedded_pods() {
    let python = need_python!();
    boto3(&S3::embedded(), &python);
}

#[test]
fn boto3_on_minio() {
    let (python, minio) = (need_python!(), need!("minio"));
    boto3(&S3::minio(minio), &python);
}

#[test]
fn aws_cli_on_embedded_pods() {
    let python = need_python!();
    aws_cli(&S3::embedded(), &python);
}

#[test]
fn aws_cli_s5cmd_and_mc_on_minio() {
    let (python, minio) = (need_python!(), need!("minio"));
    let s3 = S3::minio(minio);
    aws_cli(&s3, &python);
    s5cmd(&s3, &need!("s5cmd"));
    mc(&s3, &need!("mc"));
}

#[test]
fn s5cmd_on_embedded_pods() {
    let program = need!("s5cmd");
    s5cmd(&S3::embedded(), &program);
}

#[test]
fn mc_on_embedded_pods() {
    let program = need!("mc");
    mc(&S3::embedded(), &program);
}

#[test]
fn keep_alive_requests_survive_a_pod_restart() {
    let python = need_python!();
    thousand_requests(&S3::embedded(), &python);
}

#[test]
fn keep_alive_requests_survive_a_minio_restart() {
    let (python, minio) = (need_python!(), need!("minio"));
    thousand_requests(&S3::minio(minio), &python);
}
