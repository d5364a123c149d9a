//! What load balancers name and a model does not list.

use std::collections::BTreeSet;

use crate::client_secret::ClientSecret;

/// What an environment says of things outside of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// The names of buckets that log files can be delivered to.
    pub log_buckets: BTreeSet<String>,
    /// The clients of user pools.
    pub user_pools: Vec<UserPoolClient>,
}

/// A client of a user pool of Amazon Cognito, and the provider that its users log in at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPoolClient {
    /// Of the user pool.
    pub arn: String,
    /// Of the client.
    pub client_id: String,
    /// What the provider gave the client.
    pub client_secret: ClientSecret,
    /// `None`: Amazon Cognito itself.
    pub endpoints: Option<UserPoolEndpoints>,
}

/// The URLs of an OpenID Connect provider that stands in for Amazon Cognito.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPoolEndpoints {
    /// What the claim `iss` of ID tokens must be.
    pub issuer: String,
    /// Where users log in.
    pub authorization: String,
    /// Where a code becomes tokens.
    pub token: String,
    /// Where the claims of a user are.
    pub user_info: String,
}

impl Environment {
    pub(crate) fn user_pool(&self, arn: &str, client_id: &str) -> Option<&UserPoolClient> {
        let mut clients = self.user_pools.iter();
        clients.find(|client| client.arn == arn && client.client_id == client_id)
    }
}

impl UserPoolEndpoints {
    /// Those of Amazon Cognito; `None` when `arn` is not that of a user pool.
    ///
    /// ```
    /// use elbow_model::UserPoolEndpoints;
    ///
    /// let arn = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_Ab";
    /// let endpoints = UserPoolEndpoints::of_cognito(arn, "shop").unwrap();
    /// assert_eq!(endpoints.issuer, "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab");
    /// assert_eq!(endpoints.token, "https://shop.auth.eu-west-1.amazoncognito.com/oauth2/token");
    /// assert!(UserPoolEndpoints::of_cognito("arn:aws:s3:::logs", "shop").is_none());
    /// ```
    pub fn of_cognito(arn: &str, domain: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, region) = (parts.next()?, parts.next()?);
        let pool = parts.nth(1)?.strip_prefix("userpool/")?;
        if service != "cognito-idp" || region.is_empty() || pool.is_empty() {
            return None;
        }
        // A user pool has a prefix of Cognito's domain, or a domain of its own.
        let domain = if domain.contains('.') {
            domain.to_owned()
        } else {
            format!("{domain}.auth.{region}.amazoncognito.com")
        };
        Some(Self {
            issuer: format!("https://cognito-idp.{region}.amazonaws.com/{pool}"),
            authorization: format!("https://{domain}/oauth2/authorize"),
            token: format!("https://{domain}/oauth2/token"),
            user_info: format!("https://{domain}/oauth2/userInfo"),
        })
    }
}
