//! `elbow cert`: a certificate authority of this user's own, and what it has issued.

mod authority;
pub(crate) mod expiry;
mod file;
mod home;
mod print;
mod trust;

pub(crate) use authority::Authority;
pub(crate) use home::{Error, Home, locate, resolve};

pub(crate) use print::date;

use std::io::{self, Write};
use std::path::Path;

use crate::Failure;
use crate::cli::{CertArgs, CertCommand};

/// Does what the subcommand says; the authority is made on first use.
pub(crate) fn cert(args: &CertArgs) -> Result<(), Failure> {
    let home = match &args.dir {
        Some(dir) => Home::at(dir),
        None => Home::find().map_err(refused)?,
    };
    let authority = home.open().map_err(refused)?;
    let text = match &args.command {
        CertCommand::List { output } => print::list(&authority, *output).map_err(refused)?,
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
        .map_err(|e| Failure::environment(e, "is the reader of the output still there?"))
}

fn refused(error: Error) -> Failure {
    Failure::environment(error, "ELBOW_CA_DIR and --dir name another folder")
}

/// A certificate for `hosts`, as two files in `out` when that is given; where it is.
fn issue(authority: &Authority, hosts: &[String], out: Option<&Path>) -> Result<String, Failure> {
    if let Some(bad) = hosts.iter().find(|h| !elbow_model::is_certificate_host(h)) {
        let hint = "give DNS names (the first label may be *) and IP addresses";
        let what = format!("no certificate can be issued for \"{bad}\"");
        return Err(Failure::environment(what, hint));
    }
    let leaf = authority.leaf(hosts).map_err(refused)?;
    let Some(out) = out else {
        return Ok(leaf.file.display().to_string());
    };
    leaf.copy_to(out).map_err(refused)
}
