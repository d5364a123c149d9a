//! The admin token: who serves asks for it, and who asks shows it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use elbow_admin::Token;

use crate::{Failure, cert};

/// `--admin-token`.
#[derive(Args, Clone, Debug)]
pub(crate) struct TokenArg {
    /// The file with the token of the admin address, or `auto`: the one that elbow makes in the user's data folder.
    #[arg(long, value_name = "FILE|auto", env = "ELBOW_ADMIN_TOKEN")]
    admin_token: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Auto,
    File(PathBuf),
}

impl FromStr for Place {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "auto" => Self::Auto,
            file => Self::File(file.into()),
        })
    }
}

/// Of the file made by `auto`, in the user's data folder.
const FILE: &str = "admin-token";
/// Of a token that is made here: 64 hexadecimal digits.
const RANDOM_BYTES: usize = 32;

impl TokenArg {
    /// The token to ask for; `auto` creates one if there is no token yet.
    pub(crate) fn to_serve(&self) -> Result<Option<Token>, Failure> {
        self.token(|path| match make(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
            made => made,
        })
    }

    /// The token to show.
    pub(crate) fn to_ask(&self) -> Result<Option<Token>, Failure> {
        self.token(read)
    }

    fn token(&self, auto: impl Fn(&Path) -> io::Result<Token>) -> Result<Option<Token>, Failure> {
        let (path, token) = match &self.admin_token {
            None => return Ok(None),
            Some(Place::File(path)) => (path.clone(), read(path)),
            Some(Place::Auto) => {
                let homeless = |error| {
                    Failure::environment(error, "set HOME, or name a file with --admin-token")
                };
                let path = cert::Home::find().map_err(homeless)?.folder().join(FILE);
                let token = auto(&path);
                (path, token)
            }
        };
        token.map(Some).map_err(|error| {
            let what = format!("admin token {}: {error}", path.display());
            Failure::environment(
                what,
                "--admin-token FILE names a file with a token; elbow run --admin-token auto makes one",
            )
        })
    }
}

/// The one line of a regular file.
fn read(path: &Path) -> io::Result<Token> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    if !fs::metadata(path)?.is_file() {
        return Err(invalid("not a regular file"));
    }
    let mut text = String::new();
    // One byte more than the longest token and its end of line may have.
    let most = Token::MAX_BYTES as u64 + 3;
    File::open(path)?.take(most).read_to_string(&mut text)?;
    let line = text.trim_end_matches(['\r', '\n']);
    Token::new(line).ok_or_else(|| {
        let most = Token::MAX_BYTES;
        invalid(&format!(
            "expected 1 to {most} visible ASCII characters on one line"
        ))
    })
}

/// A new one, in a file that the user alone reads.
fn make(path: &Path) -> io::Result<Token> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut random = [0; RANDOM_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let text: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    // Written aside and linked, so that nobody reads half of it.
    let next = path.with_extension(format!("{}.next", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&next)?;
    let written = writeln!(file, "{text}");
    let linked = written.and_then(|()| fs::hard_link(&next, path));
    fs::remove_file(&next)?;
    linked?;
    read(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("elbow-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_made_token_is_random_stays_and_is_for_the_user_alone() {
        let folder = Folder::new("token-made");
        let (one, two) = (folder.0.join("a/one"), folder.0.join("two"));
        let made = make(&one).unwrap();
        assert_eq!(made.secret().len(), 2 * RANDOM_BYTES);
        assert_eq!(read(&one).unwrap().secret(), made.secret());
        assert_ne!(make(&two).unwrap().secret(), made.secret());
        let mode = fs::metadata(&one).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = make(&one).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let left = fs::read_dir(one.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn a_file_has_one_token_and_nothing_else() {
        let folder = Folder::new("token-file");
        let path = folder.0.join("token");
        for (text, token) in [
            ("s3cret\n", Some("s3cret")),
            ("s3cret\r\n", Some("s3cret")),
            ("s3cret", Some("s3cret")),
            ("", None),
            ("\n", None),
            ("two\nlines\n", None),
            ("with space\n", None),
        ] {
            fs::write(&path, text).unwrap();
            let read = read(&path).ok();
            assert_eq!(read.as_ref().map(Token::secret), token, "{text:?}");
        }
        assert!(read(Path::new("/dev/zero")).is_err());
        assert!(read(&folder.0).is_err());
    }
}
