//! Unchecked configurations of conditions.

/// For [`Patterns`](crate::Patterns): one of the two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatternsSpec {
    /// Texts with `*` and `?`.
    pub values: Option<Vec<String>>,
    /// Regular expressions.
    pub regex_values: Option<Vec<String>>,
}

impl PatternsSpec {
    /// Texts with `*` and `?`.
    pub fn wildcards<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self {
            values: Some(values.into_iter().map(Into::into).collect()),
            regex_values: None,
        }
    }

    /// Regular expressions.
    pub fn regexes<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Self {
        Self {
            values: None,
            regex_values: Some(values.into_iter().map(Into::into).collect()),
        }
    }
}

/// `HttpHeaderConditionConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpHeaderSpec {
    /// Required.
    pub http_header_name: Option<String>,
    /// Of its value.
    pub patterns: PatternsSpec,
}

/// `HttpRequestMethodConditionConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValuesSpec {
    /// Required.
    pub values: Option<Vec<String>>,
}

/// `SourceIpConditionConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceIpSpec {
    /// CIDR blocks; required for an Application Load Balancer.
    pub values: Option<Vec<String>>,
    /// `ipv4` or `ipv6`; required for a Network Load Balancer.
    pub ip_address_type: Option<String>,
}

/// `QueryStringConditionConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStringSpec {
    /// Required.
    pub values: Option<Vec<QueryPairSpec>>,
}

/// For a [`QueryPair`](crate::QueryPair) (`QueryStringKeyValuePair`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryPairSpec {
    /// Default: any key.
    pub key: Option<String>,
    /// Required.
    pub value: Option<String>,
}
