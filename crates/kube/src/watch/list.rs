//! Lists all objects once, without watching them.

use serde_json::Value;

use super::KINDS;
use super::kinds::Kind;
use super::request::{Fault, Requests};
use crate::client::Server;
use crate::{Error, Metrics};

/// The objects in a cluster of all watched kinds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The objects, grouped by kind.
    pub objects: Vec<Value>,
    /// One line for each kind that may not be read, with the consequence.
    pub missing: Vec<String>,
}

/// The objects in the cluster now; only those of `namespace` if given. `auto_mode` says whether elbow takes the place of
/// EKS Auto Mode's controllers.
///
/// # Errors
/// The API server does not answer, or not as expected.
pub async fn list(
    server: &Server,
    namespace: Option<&str>,
    auto_mode: bool,
) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    for kind in KINDS.iter().filter(|kind| kind.is_watched(auto_mode)) {
        let requests = Requests {
            client: server.client.clone(),
            kind,
            namespace: namespace.map(str::to_owned),
            metrics: Metrics::new(),
        };
        match list_kind(&requests, &mut listing.objects).await {
            Ok(()) | Err(Fault::NotFound) if kind.optional => {}
            Ok(()) => {}
            Err(Fault::Forbidden { verb, .. }) => {
                let resource = kind.resource();
                let line = format!("no permission to {verb} {resource}: {}", kind.without);
                listing.missing.push(line);
            }
            Err(fault) => {
                return Err(Error::Unreachable {
                    server: server.url.clone(),
                    what: format!("cannot list {}: {}", kind.resource(), why(fault)),
                });
            }
        }
    }
    Ok(listing)
}

async fn list_kind(requests: &Requests, objects: &mut Vec<Value>) -> Result<(), Fault> {
    let mut next = None;
    loop {
        let page = requests.list(next).await?;
        next = page.next();
        let items = page.items.into_iter();
        objects.extend(items.map(|object| whole(requests.kind, object)));
        if next.is_none() {
            return Ok(());
        }
    }
}

/// Adds the kind, which items of lists lack.
fn whole(kind: &Kind, mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), kind.api_version().into());
        fields.insert("kind".to_owned(), kind.name.into());
    }
    object
}

fn why(fault: Fault) -> String {
    match fault {
        Fault::Expired => "the list changed while it was read; try again".to_owned(),
        Fault::NotFound => "the API server does not have this kind".to_owned(),
        Fault::NoStreamingList => "the API server does not support streaming lists".to_owned(),
        Fault::Forbidden { message, .. }
        | Fault::Refused(_, message)
        | Fault::Unavailable(message) => message,
    }
}
