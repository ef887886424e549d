//! Kubernetes resources in documents: one each, or many in a `List`.

use nexus_core::policy::nearest_name;

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

/// What a product's documents are.
pub(crate) struct Product {
    /// The group of its API.
    pub(crate) group: &'static str,
    /// The kinds that are read.
    pub(crate) read: &'static [&'static str],
    /// The other kinds of the group, which say nothing about JWTs.
    pub(crate) stay: &'static [&'static str],
}

/// The members of a resource beside those that the kind itself has.
const MEMBERS: [&str; 5] = ["apiVersion", "kind", "metadata", "spec", "status"];
/// Keys stand in it where a resource names it.
const CONFIG_MAP: &str = "ConfigMap";

/// Says of the resources that are not read that they stay, and refuses those that look like a product's own and are
/// none: misspelt and left out, they would open what they were to close.
pub(crate) fn check(resources: &[Resource<'_>], product: &Product, findings: &mut Findings) {
    for (index, resource) in resources.iter().enumerate() {
        let (kind, label) = (resource.kind, resource.label());
        let is_same = |other: &&Resource<'_>| {
            other.kind == kind
                && (other.group, other.namespace, other.name)
                    == (resource.group, resource.namespace, resource.name)
        };
        if let Some(first) = resources.iter().take(index).find(is_same)
            && !resource.name.is_empty()
        {
            findings.refused_with_hint(
                resource.place,
                format!(
                    "there is another {kind} `{label}`, in line {}",
                    first.place.line
                ),
                "give each resource once",
            );
        }
        let is_ours = resource.group == product.group;
        let is_read = product.read.contains(&kind);
        if kind == CONFIG_MAP && resource.group.is_empty() {
            continue;
        }
        if is_read && is_ours {
            check_members(resource, findings);
        } else if is_read {
            findings.refused_with_hint(
                resource.place,
                format!(
                    "the {kind} `{label}` is of the group `{}`, not of `{}`",
                    resource.group, product.group
                ),
                "mend its `apiVersion`, or leave it out if it is of another product",
            );
        } else if is_ours && !product.stay.contains(&kind) {
            let hint = match nearest_name(kind, product.read.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "leave it out if it says nothing about who may pass".to_owned(),
            };
            findings.refused_with_hint(
                resource.place,
                format!("the kind `{kind}` is not known here: without it, more requests may pass"),
                hint,
            );
        } else {
            findings.note(
                resource.place,
                format!("the {kind} `{label}` stays as it is: it says nothing about JWTs"),
            );
        }
    }
}

/// Refuses what stands beside `spec`, where it may have come by a wrong indentation.
fn check_members(resource: &Resource<'_>, findings: &mut Findings) {
    if let Some(fields) = Fields::of(resource.node, Spelling::Camel, resource.kind, findings) {
        for name in MEMBERS {
            fields.skip(name, findings);
        }
        fields.finish(findings);
    }
}
