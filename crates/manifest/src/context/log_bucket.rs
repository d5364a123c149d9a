//! Buckets of logs in an environment file.

use std::fmt;

use crate::view::View;

/// A bucket that log files are delivered to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogBucket {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub place: LogBucketPlace,
}

/// Where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogBucketPlace {
    /// A folder, relative to the environment file.
    Folder(String),
    /// Behind the S3 API.
    S3(LogBucketEndpoint),
}

/// How to reach a bucket behind the S3 API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogBucketEndpoint {
    /// The URL of the API.
    pub endpoint: String,
    /// The region in signatures; `None`: that of the environment.
    pub region: Option<String>,
    /// Who stores; `None`: the environment variables of AWS's tools say so.
    pub credentials: Option<Credentials>,
    /// The PEM file of the authorities of the endpoint, relative to the environment file.
    pub ca_file: Option<String>,
    /// Whether the host name has the name of the bucket, and not the path.
    pub virtual_hosted: bool,
}

/// An access key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Its id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Secret,
}

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

const FIELDS: &[&str] = &[
    "name",
    "folder",
    "endpoint",
    "region",
    "accessKeyId",
    "secretAccessKey",
    "caFile",
    "virtualHosted",
];
/// The fields that a bucket in a folder does not have.
const S3_FIELDS: &[&str] = &[
    "region",
    "accessKeyId",
    "secretAccessKey",
    "caFile",
    "virtualHosted",
];

/// Reads `logBuckets`.
pub(super) fn read_all(view: &View<'_>) -> Vec<LogBucket> {
    let mut buckets: Vec<LogBucket> = Vec::new();
    for item in view.items() {
        item.only(FIELDS);
        let Some(name) = required(&item, "name") else {
            continue;
        };
        if buckets.iter().any(|known| known.name == name) {
            let message = format!("the bucket \"{name}\" is listed twice");
            item.get("name").error("duplicate-name", message);
            continue;
        }
        buckets.extend(read_place(&item).map(|place| LogBucket { name, place }));
    }
    buckets
}

fn read_place(item: &View<'_>) -> Option<LogBucketPlace> {
    if item.get("endpoint").is_absent() {
        if let Some(field) = S3_FIELDS.iter().find(|one| !item.get(one).is_absent()) {
            let message = format!("{field} needs endpoint");
            item.get(field).error("missing-field", message);
            return None;
        }
        return required(item, "folder").map(LogBucketPlace::Folder);
    }
    if !item.get("folder").is_absent() {
        let message = "a bucket is a folder or has an endpoint, not both";
        item.get("folder").error("invalid-combination", message);
        return None;
    }
    Some(LogBucketPlace::S3(LogBucketEndpoint {
        endpoint: endpoint(&item.get("endpoint"))?,
        region: item.get("region").text().map(str::to_owned),
        credentials: credentials(item)?,
        ca_file: item.get("caFile").text().map(str::to_owned),
        virtual_hosted: item.get("virtualHosted").boolean().unwrap_or_default(),
    }))
}

/// A URL of a scheme, a host and perhaps a port.
fn endpoint(view: &View<'_>) -> Option<String> {
    let text = view.text()?.trim_end_matches('/');
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if host.is_none_or(|host| host.is_empty() || !host.bytes().all(is_host)) {
        let message =
            format!("endpoint: expected a URL such as http://127.0.0.1:9000, found \"{text}\"");
        view.error("invalid-url", message);
        return None;
    }
    Some(text.to_owned())
}

/// `None` if half of an access key is missing.
fn credentials(item: &View<'_>) -> Option<Option<Credentials>> {
    let given = ["accessKeyId", "secretAccessKey"];
    if given.iter().all(|field| item.get(field).is_absent()) {
        return Some(None);
    }
    let [id, secret] = given.map(|field| required(item, field));
    Some(Some(Credentials {
        access_key_id: id?,
        secret_access_key: Secret(secret?),
    }))
}

/// A text that is not empty.
fn required(item: &View<'_>, name: &str) -> Option<String> {
    item.required(name, "a bucket of logBuckets")
}

#[cfg(test)]
mod tests {
    use crate::Context;
    use crate::context::LogBucketPlace;

    /// The buckets of `list`, or the codes and places of what is wrong.
    fn read(list: &str) -> Result<Vec<LogBucketPlace>, Vec<String>> {
        let (context, found) = Context::parse(&format!("logBuckets: {list}\n"), "env.yaml");
        if found.is_empty() {
            return Ok(context
                .log_buckets
                .into_iter()
                .map(|one| one.place)
                .collect());
        }
        let told = found
            .iter()
            .map(|one| format!("{} {}:{}", one.code, one.line, one.column));
        Err(told.collect())
    }

    #[test]
    fn bucket_is_a_folder_or_behind_an_endpoint() {
        let places = read(
            "[{name: a, folder: logs}, {name: b, endpoint: 'http://127.0.0.1:9000/', accessKeyId: id, secretAccessKey: s3cret}]",
        )
        .unwrap();
        assert_eq!(places[0], LogBucketPlace::Folder("logs".into()));
        let LogBucketPlace::S3(endpoint) = &places[1] else {
            panic!("{places:?}");
        };
        assert_eq!(endpoint.endpoint, "http://127.0.0.1:9000");
        let credentials = endpoint.credentials.as_ref().unwrap();
        assert_eq!(credentials.secret_access_key.0, "s3cret");
        assert!(!format!("{places:?}").contains("s3cret"), "{places:?}");
    }

    #[test]
    fn faults_of_buckets_are_told_at_their_places() {
        for (list, expected) in [
            ("[{folder: a}]", "missing-field 1:14"),
            ("[{name: a}]", "missing-field 1:14"),
            (
                "[{name: a, folder: x}, {name: a, folder: y}]",
                "duplicate-name 1:43",
            ),
            (
                "[{name: a, folder: x, endpoint: 'http://b'}]",
                "invalid-combination 1:32",
            ),
            ("[{name: a, folder: x, region: r}]", "missing-field 1:43"),
            ("[{name: a, endpoint: b}]", "invalid-url 1:34"),
            ("[{name: a, endpoint: 'ftp://b'}]", "invalid-url 1:34"),
            ("[{name: a, endpoint: 'http://b/c'}]", "invalid-url 1:34"),
            (
                "[{name: a, endpoint: 'http://b', accessKeyId: i}]",
                "missing-field 1:14",
            ),
            ("[{name: a, folder: x, zone: r}]", "unknown-field 1:35"),
        ] {
            assert_eq!(read(list).unwrap_err(), [expected], "{list}");
        }
    }
}
