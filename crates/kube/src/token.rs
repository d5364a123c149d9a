//! The admin token of the elbows in a cluster: random, and kept in a Secret that all replicas share, so that whoever may read
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

/// Of the Secret's data.
pub(crate) const KEY: &str = "token";
/// Of a token that is made here: 64 hexadecimal digits.
const RANDOM_BYTES: usize = 32;

/// The token in the Secret called `name` in the namespace of `client`, made if it is not there. An API server that is away, or
/// does not let through, is asked again.
pub async fn keep(client: Client, name: &str) -> String {
    let secrets: Api<Secret> = Api::default_namespaced(client);
    let mut back_off = BackOff::default();
    loop {
        match token(&secrets, name).await {
            Ok(Some(token)) => return token,
            // Another replica has made it.
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Ok(None) => warn!("Secret {name} has no `{KEY}`; add it, or delete the Secret"),
            Err(error) => warn!("Secret {name} with the admin token: {error}"),
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
