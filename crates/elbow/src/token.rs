//! The admin token, which a serving elbow requires and clients present.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use elbow_admin::Token;

use crate::args::{TokenArg, TokenPlace};
use crate::authority::Home;
use crate::process::Failure;

/// The file that `auto` uses in the user's data folder.
const FILE: &str = "admin-token";
/// The length of a created token, which is written as 64 hexadecimal digits.
const RANDOM_BYTES: usize = 32;

/// The token to require from clients; `auto` creates one if there is none.
///
/// # Errors
/// There is no usable token where `arg` says.
pub(crate) fn to_require(arg: &TokenArg) -> Result<Option<Token>, Failure> {
    find(arg, |path| match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        created => created,
    })
}

/// The token to present to a running elbow.
///
/// # Errors
/// As [`to_require`].
pub(crate) fn to_present(arg: &TokenArg) -> Result<Option<Token>, Failure> {
    find(arg, read)
}

/// The token that `arg` names; `auto` reads or creates the token of this user.
fn find(
    arg: &TokenArg,
    auto: impl Fn(&Path) -> io::Result<Token>,
) -> Result<Option<Token>, Failure> {
    let (path, token) = match &arg.admin_token {
        None => return Ok(None),
        Some(TokenPlace::File(path)) => (path.clone(), read(path)),
        Some(TokenPlace::Auto) => {
            let home = Home::find().map_err(|error| {
                Failure::environment(error, "set HOME, or name a file with --admin-token")
            })?;
            let path = home.folder().join(FILE);
            let token = auto(&path);
            (path, token)
        }
    };
    token.map(Some).map_err(|error| {
        Failure::environment(
            format!("admin token {}: {error}", path.display()),
            "put a token into the file, or create one with elbow run --admin-token auto",
        )
    })
}

/// Reads the token from a regular file with one line.
fn read(path: &Path) -> io::Result<Token> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    if !fs::metadata(path)?.is_file() {
        return Err(invalid("not a regular file"));
    }
    let mut text = String::new();
    // One byte more than the longest token with its line ending.
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

/// Random digits that nobody guesses.
pub(crate) fn random() -> io::Result<String> {
    let mut random = [0; RANDOM_BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Creates a token in a file that only the user can read.
fn create(path: &Path) -> io::Result<Token> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let text = random()?;
    // Written aside and linked, so that no reader sees a part of it.
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
    use std::path::PathBuf;

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
    fn created_token_is_random_and_private() {
        let folder = Folder::new("token-made");
        let (one, two) = (folder.0.join("a/one"), folder.0.join("two"));
        let made = create(&one).unwrap();
        assert_eq!(made.secret().len(), 2 * RANDOM_BYTES);
        assert_eq!(read(&one).unwrap().secret(), made.secret());
        assert_ne!(create(&two).unwrap().secret(), made.secret());
        let mode = fs::metadata(&one).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = create(&one).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        let left = fs::read_dir(one.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn file_holds_exactly_one_token() {
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
