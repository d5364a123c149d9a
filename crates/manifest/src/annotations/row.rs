//! What is known of an annotation.

use std::borrow::Cow;
use std::fmt;

/// One annotation.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key; of annotations with a tail, the key without it.
    pub key: &'static str,
    /// What follows the key after a dot, for example `PROTOCOL-PORT`.
    pub tail: Option<&'static str>,
    /// Who reads it, and so where it may stand.
    pub readers: Readers,
    /// The syntax of its value.
    pub syntax: Syntax,
    /// What it sets.
    pub sets: &'static str,
    /// What holds without it; empty: nothing.
    pub default: &'static str,
    /// Whether elbow serves what it asks for.
    pub served: Served,
}

/// Who reads an annotation. Several may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readers(u8);

impl Readers {
    /// An ALB's controller, on an Ingress.
    pub const INGRESS: Self = Self(1);
    /// An ALB's controller, on the Service behind an Ingress, where it precedes the Ingress.
    pub const BACKEND: Self = Self(1 << 1);
    /// The cluster's provider, on the Service of a Classic load balancer.
    pub const CLASSIC: Self = Self(1 << 2);
    /// The cluster's provider, on the Service of a Network Load Balancer.
    pub const PROVIDER: Self = Self(1 << 3);
    /// The AWS Load Balancer Controller, on the Service of a Network Load Balancer.
    pub const LBC: Self = Self(1 << 4);
    /// An ALB's controller, on an IngressClass.
    pub const CLASS: Self = Self(1 << 5);
    /// elbow itself, on a Secret.
    pub const SECRET: Self = Self(1 << 6);
    /// The AWS Load Balancer Controller, on a Pod.
    pub const POD: Self = Self(1 << 7);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether one of `other` is among them.
    pub const fn meet(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether `other` is among them.
    pub const fn include(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The syntax of a value (control-plane.md 0.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// Any text.
    Text,
    /// A truth value as Go's `ParseBool` takes it.
    Boolean,
    /// A whole number.
    Integer,
    /// Texts between commas.
    List,
    /// `key=value` between commas.
    Map,
    /// JSON.
    Json,
    /// The controller writes it; nobody reads it.
    Output,
}

/// Whether elbow serves what an annotation asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Served {
    /// It does, as far as the data plane serves the value.
    Yes,
    /// It takes the value and does something else, which the text says.
    Otherwise(&'static str),
    /// The plan has the resource that the annotation asks for, and elbow does not make it.
    Planned,
    /// The same while this feature gate is on, which is off by default. Otherwise the controller ignores the annotation.
    PlannedBehind(&'static str),
}

impl Row {
    /// The whole key of the annotation that ends in `tail`.
    pub fn of(&'static self, tail: &str) -> Key {
        Key {
            row: self,
            text: Cow::Owned(format!("{}.{tail}", self.key)),
        }
    }

    /// What follows the key and the dot, if `key` is an annotation of this row with a tail.
    pub fn tail_of<'k>(&self, key: &'k str) -> Option<&'k str> {
        self.tail?;
        key.strip_prefix(self.key)?.strip_prefix('.')
    }

    /// Whether `key` is an annotation of this row.
    pub fn is(&self, key: &str) -> bool {
        match self.tail {
            None => self.key == key,
            Some(_) => self.tail_of(key).is_some(),
        }
    }

    /// The key without its prefix, as messages name it.
    pub fn name(&self) -> &'static str {
        self.key.rsplit_once('/').map_or(self.key, |(_, name)| name)
    }
}

/// The whole key of an annotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    row: &'static Row,
    text: Cow<'static, str>,
}

impl Key {
    /// The row.
    pub fn row(&self) -> &'static Row {
        self.row
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The key without its prefix, as messages name it.
    pub fn name(&self) -> &str {
        self.text
            .rsplit_once('/')
            .map_or(&*self.text, |(_, name)| name)
    }
}

impl From<&'static Row> for Key {
    fn from(row: &'static Row) -> Self {
        Self {
            row,
            text: Cow::Borrowed(row.key),
        }
    }
}

impl From<&&'static Row> for Key {
    fn from(row: &&'static Row) -> Self {
        Self::from(*row)
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

/// A table of annotations that share a prefix: constant, key, readers, syntax, what it sets, default, and where elbow does not
/// serve it as AWS does, what it does instead.
macro_rules! table {
    ($prefix:literal; $($name:ident $key:literal $(. $tail:literal)?, $readers:expr, $syntax:ident, $sets:literal, $default:literal $(, $served:expr)?;)*) => {
        $(
            #[doc = concat!("`", $prefix, $key, $(".", $tail,)? "`: ", $sets, ".")]
            pub const $name: &Row = &Row {
                key: concat!($prefix, $key),
                tail: table!(@tail $($tail)?),
                readers: $readers,
                syntax: Syntax::$syntax,
                sets: $sets,
                default: $default,
                served: table!(@served $($served)?),
            };
        )*
        /// All of them.
        pub const ROWS: &[&Row] = &[$($name),*];
    };
    (@tail) => { None };
    (@tail $tail:literal) => { Some($tail) };
    (@served) => { Served::Yes };
    (@served $served:expr) => { $served };
}

pub(super) use table;
