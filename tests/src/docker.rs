//! A Docker engine of the test's own, with the images that the compose file asks for, made here:
//! no registry is needed.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Running, output, stdout};
use crate::{TempDir, elbow, tools, wait};

const DOCKER: &str = "/usr/bin/docker";
const COMPOSE: &str = "/usr/bin/docker-compose";

/// Which of the builders of Debian's engine makes an image.
#[derive(Clone, Copy, Debug)]
pub enum Builder {
    /// What `docker build` is without buildx.
    Legacy,
    /// With `DOCKER_BUILDKIT=1`.
    BuildKit,
}

/// A running engine; it ends, with all that it keeps, when dropped. One at a time: others wait, since the bridge and the
/// rules of its network are the machine's.
pub struct Engine {
    daemon: Running,
    dir: TempDir,
    _lock: File,
}

impl Engine {
    /// Starts one; otherwise what is missing for that.
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

    /// Debian's docker client, pointed at this engine.
    pub fn docker(&self) -> Command {
        let mut command = Command::new(DOCKER);
        command.env("DOCKER_HOST", socket(&self.dir));
        command
    }

    /// docker-compose on the repository's file, pointed at this engine.
    pub fn compose(&self, file: &Path) -> Command {
        let mut command = Command::new(COMPOSE);
        command
            .env("DOCKER_HOST", socket(&self.dir))
            .args(["--project-name", "elbowtest", "--file"])
            .arg(file);
        command
    }

    /// Debian as `debian:bookworm-slim`.
    pub fn make_base(&self) {
        stdout(
            self.docker()
                .arg("import")
                .arg(tools::debian())
                .arg("debian:bookworm-slim"),
        );
    }

    /// MinIO's image under the name `tag`, around these programs.
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

    /// elbow's image by the repository's Dockerfile, with the binary under test in it, without its symbols. Says how many
    /// bytes that binary has.
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
        // By itself it unmounts what it mounted; killed, it would not.
        self.daemon.end(rustix::process::Signal::TERM);
        // The network namespace that containers of the host's network share stays behind, mounted.
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
