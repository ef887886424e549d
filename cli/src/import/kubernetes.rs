//! Kubernetes resources in documents: one each, or many in a `List`.

use super::fields::{Fields, Spelling};
use super::findings::Findings;
use super::yaml::{Node, Place};

/// A resource.
pub(crate) struct Resource<'n> {
    /// Its kind.
    pub(crate) kind: &'n str,
    /// The group of its API, without version.
    pub(crate) group: &'n str,
    /// Its name.
    pub(crate) name: &'n str,
    /// Its namespace; empty where none is said.
    pub(crate) namespace: &'n str,
    /// Where it begins.
    pub(crate) place: Place,
    node: &'n Node,
}

impl<'n> Resource<'n> {
    /// `ns/name`, or the name alone.
    pub(crate) fn label(&self) -> String {
        match self.namespace {
            "" => self.name.to_owned(),
            namespace => format!("{namespace}/{}", self.name),
        }
    }

    /// The fields of `spec`; that there is none is reported.
    pub(crate) fn spec(&self, findings: &mut Findings) -> Option<Fields<'n>> {
        match self.node.field("spec") {
            Some(spec) => Fields::of(spec, Spelling::Camel, "spec", findings),
            None => {
                findings.refused(
                    self.place,
                    format!("the {} `{}` has no `spec`", self.kind, self.label()),
                );
                None
            }
        }
    }

    /// The data of a ConfigMap.
    pub(crate) fn data(&self, key: &str) -> Option<(&'n str, Place)> {
        let node = self.node.field("data")?.field(key)?;
        node.text().map(|text| (text, node.place))
    }
}

/// The resources of the documents.
pub(crate) fn resources<'n>(documents: &'n [Node], findings: &mut Findings) -> Vec<Resource<'n>> {
    let mut resources = Vec::new();
    let mut open: Vec<&Node> = documents.iter().rev().collect();
    while let Some(node) = open.pop() {
        let text = |name: &str| node.field(name).and_then(Node::text).unwrap_or_default();
        let kind = text("kind");
        if kind.ends_with("List")
            && let Some(items) = node.field("items")
        {
            open.extend(items.children().into_iter().rev());
            continue;
        }
        let version = text("apiVersion");
        if kind.is_empty() || version.is_empty() {
            findings.refused_with_hint(
                node.place,
                "this is no Kubernetes resource: it has no `apiVersion` and `kind`",
                "give the resource as `kubectl get … -o yaml` writes it",
            );
            continue;
        }
        let metadata = |name: &str| {
            let metadata = node.field("metadata");
            let field = metadata.and_then(|metadata| metadata.field(name));
            field.and_then(Node::text).unwrap_or_default()
        };
        resources.push(Resource {
            kind,
            group: version.split_once('/').map_or("", |(group, _)| group),
            name: metadata("name"),
            namespace: metadata("namespace"),
            place: node.place,
            node,
        });
    }
    resources
}

/// Says of the resources that were not asked for that nothing is read from them.
pub(crate) fn others(resources: &[Resource<'_>], read: &[&str], findings: &mut Findings) {
    for resource in resources {
        if !read.contains(&resource.kind) {
            findings.note(
                resource.place,
                format!(
                    "the {} `{}` stays as it is: it says nothing about JWTs",
                    resource.kind,
                    resource.label()
                ),
            );
        }
    }
}
