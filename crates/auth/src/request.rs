//! What gates look at and what they decide.

use crate::reason::Reason;

/// What a gate looks at in a request.
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    /// The first Authorization field.
    pub authorization: Option<&'a [u8]>,
    /// All Cookie fields.
    pub cookies: Vec<&'a [u8]>,
    /// The host that the client asked for, with its port.
    pub host: Option<&'a [u8]>,
    /// The path and query that it asked for.
    pub uri: &'a str,
}

/// A request that was let through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// What its target is told of the user.
    pub identity: Option<Box<Identity>>,
    /// Values of Set-Cookie for its response.
    pub cookies: Vec<String>,
    /// Whether the provider gave the session another access token.
    pub is_refreshed: bool,
}

/// A redirect, 302.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Where it leads.
    pub location: String,
    /// Values of Set-Cookie.
    pub cookies: Vec<String>,
    /// Whether it ends a login.
    pub is_login: bool,
    /// Why the session that the client has is of no use.
    pub reason: Option<Reason>,
}

/// The fields that tell a target who the user is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `x-amzn-oidc-accesstoken`.
    pub access_token: String,
    /// `x-amzn-oidc-identity`.
    pub subject: String,
    /// `x-amzn-oidc-data`.
    pub data: String,
}

/// What one kind of gate does with a request; `Q` is what it has to ask first.
#[derive(Debug)]
pub(crate) enum Judged<Q> {
    Admitted(Admission),
    Refused(Reason),
    Reply(Reply),
    Ask(Q),
}
