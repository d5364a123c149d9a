//! All objects once, for who looks at a cluster and goes.

use serde_json::Value;

use super::KINDS;
use super::kinds::Kind;
use super::request::{Fault, Requests};
use crate::client::Server;
use crate::{Error, Metrics};

/// What is in a cluster of the kinds that count.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// The objects, kind by kind.
    pub objects: Vec<Value>,
    /// What may not be read, and what is not known without it: a line for each kind.
    pub missing: Vec<String>,
}

/// What is in the cluster now; of `namespace` alone, where one is given.
///
/// # Errors
/// The API server does not answer, or not as one does.
pub async fn list(server: &Server, namespace: Option<&str>) -> Result<Listing, Error> {
    let mut listing = Listing::default();
    for kind in KINDS {
        let requests = Requests {
            client: server.client.clone(),
            kind,
            namespace: namespace.map(str::to_owned),
            metrics: Metrics::new(),
        };
        match of_kind(&requests, &mut listing.objects).await {
            Ok(()) | Err(Fault::Absent) if kind.optional => {}
            Ok(()) => {}
            Err(Fault::Forbidden { verb, .. }) => {
                let resource = kind.resource();
                let line = format!("may not {verb} {resource}: {}", kind.without);
                listing.missing.push(line);
            }
            Err(fault) => {
                return Err(Error::Unreachable {
                    server: server.url.clone(),
                    what: format!("list of {}: {}", kind.resource(), why(fault)),
                });
            }
        }
    }
    Ok(listing)
}

async fn of_kind(requests: &Requests, objects: &mut Vec<Value>) -> Result<(), Fault> {
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

/// The object with its kind, which lists leave out.
fn whole(kind: &Kind, mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), kind.api_version().into());
        fields.insert("kind".to_owned(), kind.name.into());
    }
    object
}

fn why(fault: Fault) -> String {
    match fault {
        Fault::Expired => "it changed while it was read; try again".to_owned(),
        Fault::Absent => "the API server has no such kind".to_owned(),
        Fault::NoStreams => "the API server has no lists that are streams".to_owned(),
        Fault::Forbidden { message, .. } | Fault::Refused(_, message) | Fault::Away(message) => {
            message
        }
    }
}
