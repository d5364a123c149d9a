//! Where the parts of a load balancer come from: annotations, else the objects themselves.

use elbow_model::file::Origin;

use crate::annotations::Annotation;
use crate::object::Place;
use crate::objects::Meta;
use crate::scope::Scope;
pub(super) use crate::service::read::PREFIX as SERVICE;
use crate::stack::Stack;

/// An origin at a place of an object; `field` may be empty.
pub(super) fn origin(place: &Place, object: &str, field: &str) -> Origin {
    Origin {
        file: place.file.clone(),
        line: place.at.line,
        column: place.at.column,
        object: object.into(),
        field: field.into(),
    }
}

/// The whole object.
pub(super) fn of_meta(meta: &Meta) -> Origin {
    origin(&meta.place, &meta.path(), "")
}

fn place_of(meta: &Meta, key: &str, annotation: &Annotation) -> Origin {
    let place = Place {
        file: meta.place.file.clone(),
        at: annotation.at,
    };
    origin(&place, &meta.path(), &format!("metadata.annotations.{key}"))
}

/// What the annotations of Ingresses start with.
pub(super) const INGRESS: &str = "alb.ingress.kubernetes.io/";

/// Bytes of an annotation that is not searched.
const LONG: usize = 4_096;

/// The objects that say what a resource is like, the first of them first.
#[derive(Clone, Debug)]
pub(super) struct Trail<'a> {
    /// `alb.ingress.kubernetes.io/` or `service.beta.kubernetes.io/`.
    prefix: &'static str,
    metas: Vec<&'a Meta>,
}

impl<'a> Trail<'a> {
    pub(super) fn new(prefix: &'static str, metas: Vec<&'a Meta>) -> Self {
        Self { prefix, metas }
    }

    /// Of a load balancer: the Ingresses of its group, or its Service.
    pub(super) fn of_stack(stack: &Stack, scope: Scope<'a>) -> Self {
        if stack.members.is_empty() {
            let service = stack.id.split_once('/');
            let service = service.and_then(|(namespace, name)| scope.service(namespace, name));
            return Self::new(
                SERVICE,
                service.map(|service| &service.meta).into_iter().collect(),
            );
        }
        let members = stack.members.iter();
        let metas = members.filter_map(|key| Some(&scope.ingress(key)?.meta));
        Self::new(INGRESS, metas.collect())
    }

    /// Every annotation of that name: key, value and place.
    pub(super) fn all(&self, suffix: &str) -> Vec<(String, &'a str, Origin)> {
        let key = format!("{}{suffix}", self.prefix);
        let annotation = |meta: &&'a Meta| {
            let annotation = meta.annotations.get(&key)?;
            Some((
                key.clone(),
                &*annotation.value,
                place_of(meta, &key, annotation),
            ))
        };
        self.metas.iter().filter_map(annotation).collect()
    }

    /// The first object.
    pub(super) fn object(&self) -> Origin {
        self.metas
            .first()
            .map_or_else(Origin::default, |meta| of_meta(meta))
    }

    /// The first of the annotations that is there, else the first object.
    pub(super) fn annotation(&self, suffixes: &[&str]) -> Origin {
        self.find(suffixes, |_| true)
            .unwrap_or_else(|| self.object())
    }

    /// The annotation, when it is there.
    pub(super) fn annotation_only(&self, suffix: &str) -> Option<Origin> {
        self.find(&[suffix], |_| true)
    }

    /// As [`Self::annotation`], of those whose value has `text` in it; a long one is taken to have it, since there may be as many texts as it has
    /// room for.
    pub(super) fn containing(&self, suffixes: &[&str], text: &str) -> Origin {
        self.find(suffixes, |value| value.len() > LONG || value.contains(text))
            .unwrap_or_else(|| self.annotation(suffixes))
    }

    fn find(&self, suffixes: &[&str], wanted: impl Fn(&str) -> bool) -> Option<Origin> {
        let keys = suffixes.iter();
        let keys: Vec<String> = keys
            .map(|suffix| format!("{}{suffix}", self.prefix))
            .collect();
        self.metas.iter().find_map(|meta| {
            keys.iter().find_map(|key| {
                let annotation = meta.annotations.get(key)?;
                wanted(&annotation.value).then(|| place_of(meta, key, annotation))
            })
        })
    }
}
