//! A client of the cluster's API server, configured by a kubeconfig or by the pod's service account.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

use crate::Error;

/// The longest wait for an answer that is not a stream.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// The oldest supported API server, as major and minor version.
const OLDEST: (u32, u32) = (1, 21);

/// The longest kubeconfig that is read, in bytes; a Secret with one cannot be larger in etcd.
const MAX_KUBECONFIG: u64 = 1 << 20;

const KUBECONFIG: &str = "KUBECONFIG";
/// Kubernetes sets it in every pod.
const SERVICE_HOST: &str = "KUBERNETES_SERVICE_HOST";

/// An API server and a client for it.
#[derive(Clone)]
pub struct Server {
    /// The client.
    pub client: Client,
    /// The server's URL.
    pub url: String,
}

/// Connects to a cluster and checks that it answers and is new enough. The cluster is that of `kubeconfig`, else of `KUBECONFIG`,
/// else of `~/.kube/config`, else of the pod's service account. `context` replaces the current context.
///
/// # Errors
/// The kubeconfig cannot be used, or the API server does not answer as expected.
pub async fn connect(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Client, Error> {
    let server = open(kubeconfig, context).await?;
    version(&server).await?;
    Ok(server.client)
}

/// Like [`connect`], but sends no request yet.
///
/// # Errors
/// The kubeconfig cannot be used.
pub async fn open(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Server, Error> {
    let source = Source::find(kubeconfig, context)?;
    let mut config = source.read(context).await?;
    // The callers retry with back-off, log and count.
    config.default_retry = false;
    let url = config.cluster_url.to_string();
    let client = Client::try_from(config).map_err(|e| source.unusable(&e))?;
    Ok(Server { client, url })
}

/// The version of the API server, like `v1.33.4`.
///
/// # Errors
/// The API server does not answer, rejects the credentials, or is too old.
pub async fn version(server: &Server) -> Result<String, Error> {
    let unreachable = |what: String| Error::Unreachable {
        server: server.url.clone(),
        what,
    };
    let asked = tokio::time::timeout(ANSWER_TIMEOUT, server.client.apiserver_version()).await;
    let info = match asked {
        Err(_) => return Err(unreachable("no answer in time".to_owned())),
        Ok(Err(kube::Error::Api(status))) if status.code == 401 => {
            return Err(Error::Unauthorized {
                server: server.url.clone(),
                what: status.message,
            });
        }
        Ok(Err(error)) => return Err(unreachable(reasons(&error))),
        Ok(Ok(info)) => info,
    };
    // A vendor may append to the number: "21+".
    let number = |text: &str| {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        digits.parse::<u32>().ok()
    };
    match (number(&info.major), number(&info.minor)) {
        (Some(major), Some(minor)) if (major, minor) < OLDEST => Err(Error::TooOld {
            server: server.url.clone(),
            version: info.git_version,
        }),
        _ => Ok(info.git_version),
    }
}

/// `error` with its causes, which the client's own messages leave out.
pub(crate) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// Where the configuration of the client comes from.
enum Source {
    Files(Vec<PathBuf>),
    ServiceAccount,
}

impl Source {
    fn find(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, Error> {
        if let Some(file) = kubeconfig {
            return Ok(Self::Files(vec![file.to_owned()]));
        }
        let named = std::env::var_os(KUBECONFIG).unwrap_or_default();
        let named: Vec<_> = std::env::split_paths(&named)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        if !named.is_empty() {
            return Ok(Self::Files(named));
        }
        let home = std::env::home_dir().unwrap_or_default();
        let usual = home.join(".kube/config");
        if usual.exists() {
            return Ok(Self::Files(vec![usual]));
        }
        if std::env::var_os(SERVICE_HOST).is_some() && context.is_none() {
            return Ok(Self::ServiceAccount);
        }
        Err(Error::Kubeconfig {
            what: format!(
                "no cluster configured: no --kubeconfig, no {KUBECONFIG}, no {}, and elbow does not run in a pod",
                usual.display()
            ),
            hint: "give the cluster's kubeconfig with --kubeconfig FILE; for kind: `kind export kubeconfig`".to_owned(),
        })
    }

    async fn read(&self, context: Option<&str>) -> Result<Config, Error> {
        let files = match self {
            Self::ServiceAccount => return Config::incluster().map_err(|e| self.unusable(&e)),
            Self::Files(files) => files,
        };
        let mut merged = Kubeconfig::default();
        for file in files {
            let one = Self::Files(vec![file.clone()]);
            is_readable(file).map_err(|e| one.unusable(&e))?;
            let read = Kubeconfig::read_from(file).map_err(|e| one.unusable(&e))?;
            merged = merged.merge(read).map_err(|e| one.unusable(&e))?;
        }
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let contexts: Vec<String> = merged.contexts.iter().map(|c| c.name.clone()).collect();
        let config = Config::from_custom_kubeconfig(merged, &options).await;
        config.map_err(|error| match error {
            KubeconfigError::CurrentContextNotSet | KubeconfigError::LoadContext(_) => {
                self.no_context(context, &contexts)
            }
            error => self.unusable(&error),
        })
    }

    fn no_context(&self, context: Option<&str>, contexts: &[String]) -> Error {
        let what = match context {
            Some(name) => format!("{self}: context \"{name}\" not found"),
            None => format!("{self}: the current context does not exist"),
        };
        let hint = match contexts {
            [] => "the file has no contexts; create one with `kind export kubeconfig` or your cluster's own tool".to_owned(),
            some => format!("choose one with --context: {}", some.join(", ")),
        };
        Error::Kubeconfig { what, hint }
    }

    fn unusable(&self, error: &dyn std::error::Error) -> Error {
        let hint = match self {
            Self::Files(_) => {
                "`kubectl --kubeconfig FILE version` shows whether kubectl can use it; --kubeconfig selects another file"
            }
            Self::ServiceAccount => {
                "the pod needs a service account with a mounted token (automountServiceAccountToken)"
            }
        };
        Error::Kubeconfig {
            what: format!("{self}: {}", reasons(error)),
            hint: hint.to_owned(),
        }
    }
}

/// Refuses files that would block, like a pipe, or that are too long.
fn is_readable(file: &Path) -> io::Result<()> {
    let metadata = fs::metadata(file)?;
    let why = if !metadata.is_file() {
        "expected a regular file".to_owned()
    } else if metadata.len() > MAX_KUBECONFIG {
        format!("the file is longer than {MAX_KUBECONFIG} bytes")
    } else {
        return Ok(());
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ServiceAccount => f.write_str("service account"),
            Self::Files(files) => {
                f.write_str("kubeconfig")?;
                for (i, file) in files.iter().enumerate() {
                    let separator = if i == 0 { " " } else { ", " };
                    write!(f, "{separator}{}", file.display())?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(text: &str, context: Option<&str>) -> Error {
        let file = std::env::temp_dir().join(format!(
            "elbow-kubeconfig-{}-{:p}",
            std::process::id(),
            &text
        ));
        fs::write(&file, text).unwrap();
        let opened = open(Some(&file), context).await;
        fs::remove_file(&file).unwrap();
        let error = opened.err().unwrap();
        assert!(
            error.to_string().contains(&file.display().to_string()),
            "{error}"
        );
        error
    }

    const TWO: &str = "{apiVersion: v1, kind: Config, current-context: gone, \
        clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], users: [{name: u, user: {}}], \
        contexts: [{name: one, context: {cluster: c, user: u}}, {name: two, context: {cluster: c, user: u}}]}";

    #[tokio::test]
    async fn malformed_kubeconfig_is_named() {
        let error = refused("clusters: [", None).await;
        assert!(error.is_input());
        assert!(error.hint().contains("kubectl"), "{}", error.hint());
    }

    #[tokio::test]
    async fn missing_context_lists_the_existing_ones() {
        let error = refused(TWO, Some("three")).await;
        assert!(
            error.to_string().ends_with("context \"three\" not found"),
            "{error}"
        );
        assert_eq!(error.hint(), "choose one with --context: one, two");
        let error = refused(TWO, None).await;
        assert_eq!(error.hint(), "choose one with --context: one, two");
    }

    #[tokio::test]
    async fn empty_kubeconfig_has_no_contexts() {
        let error = refused("", None).await;
        assert!(error.hint().contains("has no contexts"), "{}", error.hint());
    }

    #[tokio::test]
    async fn unreachable_api_server_is_named() {
        let server = Server {
            client: Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap(),
            url: "http://127.0.0.1:1".to_owned(),
        };
        let error = version(&server).await.err().unwrap();
        assert!(!error.is_input());
        assert!(
            error
                .to_string()
                .starts_with("API server http://127.0.0.1:1: "),
            "{error}"
        );
        assert!(error.to_string().contains("refused"), "{error}");
    }
}
