//! A Docker engine of the test's own, with the images that the compose file asks for, made here:
//! no registry is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Running, output, stdout};
use crate::{TempDir, elbow, tools, wait};

const DOCKER: &str = "/usr/bin/docker";
const COMPOSE: &str = "/usr/bin/docker-compose";

/// A running engine; it ends, with all that it keeps, when dropped.
pub struct Engine {
    daemon: Running,
    dir: TempDir,
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

    /// elbow's image by the repository's Dockerfile, with the binary under test in it.
    pub fn make_elbow(&self, tag: &str, dockerfile: &Path) {
        let context = self.context("elbow-image", &[]);
        fs::create_dir(context.join("dist")).unwrap();
        fs::copy(elbow::binary(), context.join("dist/elbow")).unwrap();
        stdout(
            self.docker()
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
