//! The command that makes a machine trust an authority. elbow prints it and never runs it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The command for this machine, and comments for clients with trust stores of their own.
pub(super) fn text(certificate: &Path) -> String {
    let system = if cfg!(target_os = "macos") {
        "ID=macos".to_owned()
    } else {
        fs::read_to_string("/etc/os-release").unwrap_or_default()
    };
    let file = quoted(&certificate.display().to_string());
    let mut text = line(&system, &file);
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "
# Run the command above to make this machine trust the certificates of this authority. Clients with a
# trust store of their own:
# curl:     curl --cacert {file} https://…
# aws-cli:  export AWS_CA_BUNDLE={file}
# Python:   export REQUESTS_CA_BUNDLE={file}
# Node.js:  export NODE_EXTRA_CA_CERTS={file}
# Chrome:   certutil -d sql:$HOME/.pki/nssdb -A -t C,, -n elbow -i {file}
# Firefox:  Settings, Privacy & Security, View Certificates, Authorities, Import: {file}"
    );
    text
}

/// The command for the system that `os_release` (os-release(5)) describes.
fn line(os_release: &str, file: &str) -> String {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_default()
            .trim_matches(['"', '\''])
            .to_owned()
    };
    let like = value("ID_LIKE=");
    let id = value("ID=");
    // The most specific first.
    let names: Vec<&str> = std::iter::once(&*id).chain(like.split(' ')).collect();
    for name in names {
        let (to, update) = match name {
            "debian" | "ubuntu" | "alpine" | "gentoo" => (
                "/usr/local/share/ca-certificates/elbow.crt",
                "update-ca-certificates",
            ),
            "fedora" | "rhel" | "centos" | "amzn" => (
                "/etc/pki/ca-trust/source/anchors/elbow.pem",
                "update-ca-trust",
            ),
            "suse" | "opensuse" => ("/etc/pki/trust/anchors/elbow.pem", "update-ca-certificates"),
            "arch" => (
                "/etc/ca-certificates/trust-source/anchors/elbow.pem",
                "update-ca-trust",
            ),
            "macos" => {
                return format!(
                    "sudo security add-trusted-cert -d -r trustRoot -k \
                     /Library/Keychains/System.keychain {file}"
                );
            }
            "nixos" => {
                return format!(
                    "echo 'add to the configuration: security.pki.certificateFiles = [ {file} ];'"
                );
            }
            _ => continue,
        };
        return format!("sudo cp {file} {to} && sudo {update}");
    }
    // p11-kit works on most other systems.
    format!("sudo trust anchor --store {file}")
}

/// `word`, quoted as one word for a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.,+=@".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_command() {
        let debian = "sudo cp /ca.pem /usr/local/share/ca-certificates/elbow.crt && sudo update-ca-certificates";
        let fedora =
            "sudo cp /ca.pem /etc/pki/ca-trust/source/anchors/elbow.pem && sudo update-ca-trust";
        for (system, expected) in [
            ("NAME=Debian\nID=debian\n", debian),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", debian),
            ("ID=alpine", debian),
            ("ID=\"amzn\"\nID_LIKE=\"fedora\"", fedora),
            ("ID=rocky\nID_LIKE='rhel centos fedora'", fedora),
            (
                "ID=opensuse-leap\nID_LIKE=\"suse opensuse\"",
                "sudo cp /ca.pem /etc/pki/trust/anchors/elbow.pem && sudo update-ca-certificates",
            ),
            ("ID=something", "sudo trust anchor --store /ca.pem"),
            ("", "sudo trust anchor --store /ca.pem"),
        ] {
            assert_eq!(line(system, "/ca.pem"), expected, "{system}");
        }
    }

    #[test]
    fn one_command_is_followed_by_comments() {
        let text = text(Path::new("/home/o'neil/my ca.pem"));
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(lines[0].contains(r"'/home/o'\''neil/my ca.pem'"), "{text}");
        assert!(text.contains("# aws-cli:  export AWS_CA_BUNDLE="), "{text}");
    }
}
