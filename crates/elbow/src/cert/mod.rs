//! `elbow cert`: the local certificate authority on the command line.

mod list;
mod trust;

use std::io::{self, Write};
use std::path::Path;

use crate::args::{CertArgs, CertCommand};
use crate::authority::{Authority, Error, Home};
use crate::process::Failure;

/// Runs the subcommand. The first use creates the authority.
pub(crate) fn cert(args: &CertArgs) -> Result<(), Failure> {
    let home = match &args.dir {
        Some(dir) => Home::at(dir),
        None => Home::find().map_err(refused)?,
    };
    let authority = Authority::open(&home).map_err(refused)?;
    let text = match &args.command {
        CertCommand::List { output } => list::list(&authority, *output).map_err(refused)?,
        CertCommand::Ca { path: true } => authority.certificate().display().to_string(),
        CertCommand::Ca { path: false } => authority.pem().to_owned(),
        CertCommand::Issue { hosts, out } => issue(&authority, hosts, out.as_deref())?,
        CertCommand::Renew => {
            let leaves = authority.renew_all().map_err(refused)?;
            format!("{} issued again", leaves.len())
        }
        CertCommand::Trust => trust::text(authority.certificate()),
    };
    writeln!(io::stdout(), "{}", text.trim_end())
        .map_err(|e| Failure::environment(e, "check the reader of the output"))
}

fn refused(error: Error) -> Failure {
    Failure::environment(error, "name another folder with --dir or ELBOW_CA_DIR")
}

/// Issues a certificate for `hosts`, copied to two files in `out` if given; returns the paths.
fn issue(authority: &Authority, hosts: &[String], out: Option<&Path>) -> Result<String, Failure> {
    if let Some(bad) = hosts.iter().find(|h| !elbow_model::is_certificate_host(h)) {
        let hint = "give DNS names (the first label may be *) and IP addresses";
        let what = format!("cannot issue a certificate for \"{bad}\"");
        return Err(Failure::environment(what, hint));
    }
    let leaf = authority.leaf(hosts).map_err(refused)?;
    let Some(out) = out else {
        return Ok(leaf.file.display().to_string());
    };
    leaf.copy_to(out).map_err(refused)
}
