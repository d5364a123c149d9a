//! A Docker engine for a test, with the images of the compose file built locally:
//! no registry is needed.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Running, output, stdout};
use crate::{TempDir, elbow, tools, wait};

const DOCKER: &str = "/usr/bin/docker";
const COMPOSE: &str = "/usr/bin/docker-compose";

/// A builder of Debian's Docker engine.
#[derive(Clone, Copy, Debug)]
pub enum Builder {
    /// `docker build` without buildx.
    Legacy,
    /// With `DOCKER_BUILDKIT=1`.
    BuildKit,
}

/// A running engine; it ends with all its data when dropped. Only one runs at a time, because they would share the bridge and the
/// firewall rules of the machine; others wait.
pub struct Engine {
    daemon: Running,
    dir: TempDir,
    _lock: File,
}

impl Engine {
    /// Starts one; `Err` says what is missing.
    pub fn start() -> Result<Self, &'static str> {
        if !rustix::process::geteuid().is_root() {
            return Err("root, for a Docker engine");
        }
        for program in [DOCKER, COMPOSE, "/usr/sbin/dockerd", tools::MMDEBSTRAP] {
            if !Path::new(program).exists() {
                return Err(program);
            }
        }
        let lock = File::create(env::temp_dir().join("elbow-test-engine.lock")).unwrap();
        lock.lock().unwrap();
        let dir = TempDir::new();
        let mut command = Command::new("/usr/sbin/dockerd");
        for (option, name) in [
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            command.arg(option).arg(dir.join(name));
        }
        command.args(["--host", &socket(&dir)]);
        let mut engine = Self {
            daemon: Running::start(&mut command),
            dir,
            _lock: lock,
        };
        let answers = wait::until("the Docker engine", || {
            if engine.daemon.ended().is_some() {
                return Some(false);
            }
            output(engine.docker().arg("info"))
                .status
                .success()
                .then_some(true)
        });
        if answers {
            Ok(engine)
        } else {
            Err("a machine on which dockerd starts")
        }
    }

    /// Debian's docker client for this engine.
    pub fn docker(&self) -> Command {
        let mut command = Command::new(DOCKER);
        command.env("DOCKER_HOST", socket(&self.dir));
        command
    }

    /// docker-compose with `file`, for this engine.
    pub fn compose(&self, file: &Path) -> Command {
        let mut command = Command::new(COMPOSE);
        command
            .env("DOCKER_HOST", socket(&self.dir))
            .args(["--project-name", "elbowtest", "--file"])
            .arg(file);
        command
    }

    /// Imports Debian as `debian:bookworm-slim`.
    pub fn make_base(&self) {
        stdout(
            self.docker()
                .arg("import")
                .arg(tools::debian())
                .arg("debian:bookworm-slim"),
        );
    }

    /// Builds MinIO's image as `tag` from these programs.
    pub fn make_minio(&self, tag: &str, minio: &Path, mc: &Path) {
        let context = self.context("minio-image", &[minio, mc]);
        let dockerfile =
            "FROM debian:bookworm-slim\nCOPY minio mc /usr/bin/\nENTRYPOINT [\"/usr/bin/minio\"]\n";
        fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        stdout(
            self.docker()
                .args(["build", "--quiet", "--tag", tag])
                .arg(&context),
        );
    }

    /// Builds elbow's image from the repository's Dockerfile, with the stripped binary under test. Returns the size of
    /// that binary in bytes.
    pub fn make_elbow(&self, tag: &str, builder: Builder) -> u64 {
        let dockerfile = tools::repository().join("Dockerfile");
        let context = self.context(&format!("elbow-image-{builder:?}"), &[]);
        fs::create_dir(context.join("dist")).unwrap();
        let binary = context.join("dist/elbow");
        stdout(
            Command::new("strip")
                .arg("-o")
                .arg(&binary)
                .arg(elbow::binary()),
        );
        let buildkit = match builder {
            Builder::Legacy => "0",
            Builder::BuildKit => "1",
        };
        stdout(
            self.docker()
                .env("DOCKER_BUILDKIT", buildkit)
                .args([
                    "build",
                    "--quiet",
                    "--build-arg",
                    "BUILDER=debian:bookworm-slim",
                    "--tag",
                    tag,
                    "--file",
                ])
                .arg(dockerfile)
                .arg(&context),
        );
        fs::metadata(binary).unwrap().len()
    }

    fn context(&self, name: &str, programs: &[&Path]) -> PathBuf {
        let context = self.dir.join(name);
        fs::create_dir(&context).unwrap();
        for program in programs {
            fs::copy(program, context.join(program.file_name().unwrap())).unwrap();
        }
        context
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Let it unmount its mounts, which SIGKILL would leave.
        self.daemon.end(rustix::process::Signal::TERM);
        // It leaves the network namespace of host-network containers mounted.
        drop(output(
            Command::new("umount").arg(self.dir.join("exec/netns/default")),
        ));
        drop(output(
            Command::new("ip").args(["link", "delete", "docker0"]),
        ));
    }
}

fn socket(dir: &TempDir) -> String {
    format!("unix://{}", dir.join("docker.sock").display())
}
