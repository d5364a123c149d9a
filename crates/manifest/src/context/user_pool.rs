//! User pools of Amazon Cognito in an environment file.

use elbow_model::{UserPoolClient, UserPoolEndpoints, is_provider_url};

use crate::view::View;

const FIELDS: &[&str] = &[
    "arn",
    "clientID",
    "clientSecret",
    "issuer",
    "authorizationEndpoint",
    "tokenEndpoint",
    "userInfoEndpoint",
];
/// The fields of a provider that stands in for Amazon Cognito.
const PROVIDER: [&str; 4] = [
    "issuer",
    "authorizationEndpoint",
    "tokenEndpoint",
    "userInfoEndpoint",
];

/// Reads `userPools`.
pub(super) fn read_all(view: &View<'_>) -> Vec<UserPoolClient> {
    let mut clients: Vec<UserPoolClient> = Vec::new();
    for item in view.items() {
        item.only(FIELDS);
        let Some(client) = read(&item) else {
            continue;
        };
        let is_same =
            |known: &UserPoolClient| known.arn == client.arn && known.client_id == client.client_id;
        if clients.iter().any(is_same) {
            let UserPoolClient { arn, client_id, .. } = &client;
            let message =
                format!("the client \"{client_id}\" of the user pool \"{arn}\" is listed twice");
            item.get("clientID").error("duplicate-name", message);
            continue;
        }
        clients.push(client);
    }
    clients
}

fn read(item: &View<'_>) -> Option<UserPoolClient> {
    let arn = required(item, "arn");
    let client_id = required(item, "clientID");
    let client_secret = required(item, "clientSecret");
    let is_cognito = PROVIDER.iter().all(|field| item.get(field).is_absent());
    let endpoints = if is_cognito {
        // The domain is that of the action.
        let is_known = arn
            .as_deref()
            .is_none_or(|arn| UserPoolEndpoints::of_cognito(arn, "").is_some());
        if !is_known {
            let message = "arn: expected arn:aws:cognito-idp:REGION:ACCOUNT:userpool/ID; \
                           for another provider than Amazon Cognito, add issuer and endpoints";
            item.get("arn").error("invalid-name", message);
            return None;
        }
        None
    } else {
        let issuer = required(item, "issuer");
        let authorization = url(item, "authorizationEndpoint");
        let token = url(item, "tokenEndpoint");
        let user_info = url(item, "userInfoEndpoint");
        Some(UserPoolEndpoints {
            issuer: issuer?,
            authorization: authorization?,
            token: token?,
            user_info: user_info?,
        })
    };
    Some(UserPoolClient {
        arn: arn?,
        client_id: client_id?,
        client_secret: client_secret?.into(),
        endpoints,
    })
}

fn url(item: &View<'_>, name: &'static str) -> Option<String> {
    let text = required(item, name)?;
    if !is_provider_url(&text) {
        let message = format!(
            "{name}: expected a URL such as https://id.example.com/token, found \"{text}\""
        );
        item.get(name).error("invalid-url", message);
        return None;
    }
    Some(text)
}

/// A text that is not empty.
fn required(item: &View<'_>, name: &str) -> Option<String> {
    item.required(name, "a client of userPools")
}

#[cfg(test)]
mod tests {
    use crate::Context;

    const POOL: &str = "arn: 'arn:aws:cognito-idp:r:1:userpool/p'";
    const PROVIDER: &str = "issuer: i, authorizationEndpoint: 'https://a/x', tokenEndpoint: 'https://a/t', \
                            userInfoEndpoint: 'https://a/u'";

    /// The codes and places of what is wrong with `list`.
    fn faults(list: &str) -> Vec<String> {
        let (_, found) = Context::parse(&format!("userPools: {list}\n"), "env.yaml");
        let told = found
            .iter()
            .map(|one| format!("{} {}:{}", one.code, one.line, one.column));
        told.collect()
    }

    #[test]
    fn user_pool_is_that_of_cognito_or_another_provider() {
        let list = format!(
            "[{{{POOL}, clientID: a, clientSecret: s3cret}}, {{arn: x, clientID: b, clientSecret: s, {PROVIDER}}}]"
        );
        let (context, found) = Context::parse(&format!("userPools: {list}\n"), "env.yaml");
        assert_eq!(found, []);
        assert_eq!(context.user_pools[0].endpoints, None);
        let endpoints = context.user_pools[1].endpoints.as_ref().unwrap();
        assert_eq!(endpoints.token, "https://a/t");
        assert!(context.resources.contains("x"));
        assert!(!format!("{context:?}").contains("s3cret"));
    }

    #[test]
    fn faults_of_user_pools_are_told_at_their_places() {
        let cases = [
            (format!("[{{{POOL}, clientID: a}}]"), "missing-field 1:13"),
            (
                "[{arn: x, clientID: a, clientSecret: s}]".to_owned(),
                "invalid-name 1:19",
            ),
            (
                "[{arn: x, clientID: a, clientSecret: s, issuer: i, authorizationEndpoint: 'https://a', \
                 tokenEndpoint: 'http://a', userInfoEndpoint: 'https://a'}]"
                    .to_owned(),
                "invalid-url 1:114",
            ),
            (
                format!("[{{{POOL}, clientID: a, clientSecret: s, secret: t}}]"),
                "unknown-field 1:87",
            ),
        ];
        for (list, expected) in cases {
            assert_eq!(faults(&list), [expected], "{list}");
        }
        let one = format!("{{{POOL}, clientID: a, clientSecret: s}}");
        let twice = faults(&format!("[{one}, {one}]"));
        assert!(twice[0].starts_with("duplicate-name 1:"), "{twice:?}");
        let partly = faults("[{arn: x, clientID: a, clientSecret: s, issuer: i}]");
        assert_eq!(partly, ["missing-field 1:13"; 3]);
    }
}
