//! From Kubernetes objects and annotations to the load balancers that AWS's controllers would make.
//!
//! Pure functions: [`read`] turns text into objects; [`plan`] turns objects into [`Stack`]s, the AWS resources that the
//! controllers would create in the environment of a [`Context`]; [`translate`] goes on to the model that elbow serves, with
//! targets and certificates. Problems come back as diagnostics with file, line and column. A stack with an error is left
//! out; the others remain.
//!
//! ```
//! let text = "
//! apiVersion: networking.k8s.io/v1
//! kind: IngressClass
//! metadata: {name: alb}
//! spec: {controller: ingress.k8s.aws/alb}
//! ---
//! apiVersion: networking.k8s.io/v1
//! kind: Ingress
//! metadata: {name: web}
//! spec: {ingressClassName: alb, rules: [{host: web.example.com}]}
//! ";
//! let (objects, found) = elbow_manifest::read(text, "web.yaml");
//! assert!(found.is_empty());
//! let translation = elbow_manifest::plan(&objects, &elbow_manifest::Context::default());
//! assert_eq!(translation.stacks[0].id, "default/web");
//!
//! let (model, found) = elbow_manifest::translate(&objects, &elbow_manifest::Context::default());
//! assert!(found.is_empty());
//! assert_eq!(model.load_balancers[0].listeners[0].port, 80);
//! ```

mod account;
pub mod advice;
pub mod annotations;
mod auto_mode;
mod base64;
pub mod bounds;
pub mod built;
pub mod classic;
pub mod cluster;
pub mod context;
pub mod ingress;
pub mod inventory;
pub mod kustomization;
pub mod lookup;
pub mod names;
pub mod nothing;
pub mod object;
pub mod objects;
pub mod quota;
mod refusal;
mod scope;
mod secret;
mod serve;
pub mod service;
pub mod stack;
mod strict;
pub mod tenant;
mod translate;
mod translation;
mod versions;
pub mod view;
mod wrappers;

pub use cluster::Cluster;
pub use context::Context;
pub use object::{Object, read};
pub use refusal::Refusal;
pub use stack::Stack;
pub use translate::{plan, seen, translate};
pub use translation::Translation;
pub(crate) use translation::sort;
