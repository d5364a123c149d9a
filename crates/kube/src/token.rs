//! The admin token of the elbows in a cluster. It is random and kept in a Secret that all replicas share. Whoever may read
//! the Secret may read their pages through the API server.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use rustls::crypto::aws_lc_rs;
use tracing::{info, warn};

use crate::FIELD_MANAGER;
use crate::backoff::BackOff;

/// The key in the Secret's data.
pub(crate) const KEY: &str = "token";
/// The length of a new token, which has 64 hexadecimal digits.
const RANDOM_BYTES: usize = 32;

/// Returns the token in the Secret `name` in the namespace of `client`, and creates the Secret if it does not exist. Retries
/// while the API server is away or denies the request.
pub async fn keep(client: Client, name: &str) -> String {
    let secrets: Api<Secret> = Api::default_namespaced(client);
    let mut back_off = BackOff::default();
    loop {
        match token(&secrets, name).await {
            Ok(Some(token)) => return token,
            // Another replica has just created it: read it.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Ok(None) => warn!("Secret {name} has no `{KEY}`; add it, or delete the Secret"),
            Err(error) => {
                warn!("cannot read or create Secret {name} with the admin token: {error}")
            }
        }
        tokio::time::sleep(back_off.next()).await;
    }
}

async fn token(secrets: &Api<Secret>, name: &str) -> Result<Option<String>, kube::Error> {
    if let Some(secret) = secrets.get_opt(name).await? {
        let token = secret.data.and_then(|mut data| data.remove(KEY));
        let token = token.and_then(|token| String::from_utf8(token.0).ok());
        return Ok(token.map(|token| token.trim().to_owned()));
    }
    let mut random = [0; RANDOM_BYTES];
    let source = aws_lc_rs::default_provider().secure_random;
    source
        .fill(&mut random)
        .map_err(|_| kube::Error::Service("no random bytes".into()))?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut secret = Secret {
        data: Some(BTreeMap::from([(
            KEY.to_owned(),
            ByteString(token.clone().into_bytes()),
        )])),
        ..Secret::default()
    };
    secret.metadata.name = Some(name.to_owned());
    let parameters = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    secrets.create(&parameters, &secret).await?;
    info!("the admin token is in Secret {name}");
    Ok(Some(token))
}
