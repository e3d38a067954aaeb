//! Pure. The parts of an OCI configuration, `config.json`, that tell what a container is.

use crate::base::tolerant::{self, Tolerant};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::{collections::HashMap, fmt, path::PathBuf};

/// The annotation or label with which a container declines the view, by the value `false`.
pub const VIEW: &str = "plimsoll.io/view";

/// The annotation of cri-dockerd's labels: an annotation of a pod is a label with this prefix.
const ANNOTATION_AS_LABEL: &str = "annotation.plimsoll.io/view";

/// The annotations that this program reads. Others are not kept.
const KNOWN: [&str; 17] = [
    VIEW,
    ANNOTATION_AS_LABEL,
    "io.kubernetes.cri.sandbox-id",
    "io.kubernetes.cri-o.SandboxID",
    "io.kubernetes.sandbox.id",
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.pod.namespace",
    "io.kubernetes.cri.sandbox-name",
    "io.kubernetes.pod.name",
    "io.kubernetes.cri.container-name",
    "io.kubernetes.container.name",
    "io.kubernetes.cri.image-name",
    "io.kubernetes.cri-o.ImageName",
    "io.kubernetes.cri-o.Image",
    "io.kubernetes.cri-o.Annotations",
    "io.kubernetes.cri-o.Labels",
    "nerdctl/name",
];

/// The part of an OCI configuration that this program needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ContainerConfiguration {
    /// The root of the container.
    #[serde(deserialize_with = "tolerant::or_default")]
    pub root: Option<ConfiguredRoot>,
    /// The annotations.
    #[serde(deserialize_with = "tolerant::or_default")]
    pub annotations: Annotations,
    /// The binds of a part of the host's `/proc` or `/sys` at its own path.
    #[serde(deserialize_with = "host_binds")]
    pub mounts: Vec<ConfiguredMount>,
    /// The part that is only for Linux.
    #[serde(deserialize_with = "tolerant::or_default")]
    pub linux: Option<ConfiguredLinux>,
}

/// The root of a container in its configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ConfiguredRoot {
    /// The directory, absolute or relative to the bundle.
    pub path: PathBuf,
}

/// The part of a configuration that is only for Linux.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfiguredLinux {
    /// The paths that the runtime hides from the container.
    #[serde(deserialize_with = "tolerant::list")]
    pub masked_paths: Option<Vec<PathBuf>>,
    /// The paths that the runtime makes read-only.
    #[serde(deserialize_with = "tolerant::list")]
    pub readonly_paths: Option<Vec<PathBuf>>,
    /// The namespaces that the container has of its own or joins.
    #[serde(deserialize_with = "tolerant::list")]
    pub namespaces: Option<Vec<ConfiguredNamespace>>,
}

/// A namespace in a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ConfiguredNamespace {
    /// The kind: `pid`, `network`, `user` and so on.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A mount in a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfiguredMount {
    /// The path in the container.
    pub destination: PathBuf,
    /// The path on the host, for a bind.
    #[serde(deserialize_with = "tolerant::or_default")]
    pub source: Option<PathBuf>,
    /// The type of the file system: `bind` for a bind, and often `none`.
    #[serde(rename = "type", deserialize_with = "tolerant::or_default")]
    pub kind: Option<String>,
    /// The options.
    #[serde(deserialize_with = "tolerant::list")]
    pub options: Option<Vec<String>>,
}

impl ContainerConfiguration {
    /// Returns whether the container has a namespace of that kind, of its own or another's.
    #[must_use]
    pub fn has_namespace(&self, kind: &str) -> bool {
        let linux = self.linux.as_ref();
        let namespaces = linux.and_then(|linux| linux.namespaces.as_ref());
        let mut namespaces = namespaces.into_iter().flatten();
        namespaces.any(|namespace| namespace.kind == kind)
    }
}

impl ConfiguredMount {
    /// Returns whether the mount has that option.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        let mut options = self.options.iter().flatten();
        options.any(|own| own == option)
    }

    /// Returns whether the mount shows a part of the host's `/proc` or `/sys` at its own path.
    #[must_use]
    pub fn is_host_bind(&self) -> bool {
        let is_bind = self.kind.as_deref() == Some("bind") || self.has("bind") || self.has("rbind");
        // Paths are compared by their components: `/sys/` is `/sys`.
        let is_same = self.source.as_ref() == Some(&self.destination);
        let mut trees = ["/proc", "/sys"].iter();
        is_bind && is_same && trees.any(|tree| self.destination.starts_with(tree))
    }
}

/// The annotations of a configuration, or the labels of an engine, as far as this program reads them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations(HashMap<&'static str, String>);

impl Annotations {
    /// Returns the annotations among `all` that this program reads.
    #[must_use]
    pub fn of(all: impl IntoIterator<Item = (String, String)>) -> Annotations {
        let known = all.into_iter().filter_map(|(key, value)| {
            let known = KNOWN.into_iter().find(|known| *known == key)?;
            Some((known, value))
        });
        Annotations(known.collect())
    }

    /// Returns the value of the first of the keys that is there and not empty.
    pub(super) fn first(&self, keys: &[&'static str]) -> Option<&str> {
        let found = |key: &&'static str| self.0.get(key).filter(|value| !value.is_empty());
        keys.iter().find_map(found).map(String::as_str)
    }

    /// Returns whether they decline the view.
    #[must_use]
    pub fn decline_view(&self) -> bool {
        let nested = [
            "io.kubernetes.cri-o.Annotations",
            "io.kubernetes.cri-o.Labels",
        ];
        let declines = |value: &str| value == "false";
        let mut own = [VIEW, ANNOTATION_AS_LABEL].into_iter();
        // CRI-O keeps the annotations and labels of the pod as JSON in one annotation each.
        let is_in = |key: &&str| {
            let inner = self.0.get(key);
            let inner = inner.and_then(|text| serde_json::from_str::<Annotations>(text).ok());
            inner.is_some_and(|inner| inner.first(&[VIEW]).is_some_and(declines))
        };
        own.any(|key| self.first(&[key]).is_some_and(declines)) || nested.iter().any(is_in)
    }

    /// Returns the name of the container: `NAMESPACE/POD/CONTAINER` of a pod, or the name that nerdctl
    /// gave it.
    pub(super) fn name(&self) -> Option<String> {
        let pod = ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"];
        let container = [
            "io.kubernetes.cri.container-name",
            "io.kubernetes.container.name",
        ];
        let parts = [self.namespace(), self.first(&pod), self.first(&container)];
        let parts: Option<Vec<&str>> = parts.into_iter().collect();
        let of_pod = parts.map(|parts| parts.join("/"));
        of_pod.or_else(|| self.first(&["nerdctl/name"]).map(str::to_owned))
    }

    /// Returns the namespace of Kubernetes.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.first(&[
            "io.kubernetes.cri.sandbox-namespace",
            "io.kubernetes.pod.namespace",
        ])
    }

    /// Returns the id of the container that holds the namespaces of the pod, the sandbox.
    pub(super) fn sandbox(&self) -> Option<&str> {
        self.first(&[
            "io.kubernetes.cri.sandbox-id",
            "io.kubernetes.cri-o.SandboxID",
            "io.kubernetes.sandbox.id",
        ])
    }

    /// Returns the names of the image.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        let keys = [
            "io.kubernetes.cri.image-name",
            "io.kubernetes.cri-o.ImageName",
            "io.kubernetes.cri-o.Image",
        ];
        keys.into_iter().filter_map(|key| self.first(&[key]))
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Annotations, D::Error> {
        deserializer.deserialize_map(KnownAnnotations)
    }
}

/// Reads an object's known members.
struct KnownAnnotations;

impl<'de> Visitor<'de> for KnownAnnotations {
    type Value = Annotations;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Annotations, A::Error> {
        let mut found = Annotations::default();
        while let Some(key) = map.next_key::<String>()? {
            let known = KNOWN.iter().find(|known| **known == key);
            match known {
                Some(known) => {
                    if let Tolerant(Some(text)) = map.next_value()? {
                        found.0.insert(known, text);
                    }
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Reads a list of mounts, and keeps the binds of the host's `/proc` and `/sys`: a list may be long.
fn host_binds<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<ConfiguredMount>, D::Error> {
    let text = Box::<RawValue>::deserialize(from)?;
    let mut text = serde_json::Deserializer::from_str(text.get());
    Ok(text.deserialize_seq(HostBinds).unwrap_or_default())
}

struct HostBinds;

impl<'de> Visitor<'de> for HostBinds {
    type Value = Vec<ConfiguredMount>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of mounts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(Tolerant(mount)) = list.next_element::<Tolerant<ConfiguredMount>>()? {
            found.extend(mount.filter(ConfiguredMount::is_host_bind));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(text: &str) -> Annotations {
        let text = format!(r#"{{"annotations":{text}}}"#);
        let read: ContainerConfiguration = serde_json::from_str(&text).unwrap();
        read.annotations
    }

    #[test]
    fn an_annotation_declines_the_view_by_the_value_false_alone() {
        for (text, declines) in [
            (r#"{"plimsoll.io/view":"false"}"#, true),
            (r#"{"plimsoll.io/view":"true"}"#, false),
            (r#"{"plimsoll.io/view":false}"#, false),
            (r#"{"annotation.plimsoll.io/view":"false"}"#, true),
            (
                r#"{"io.kubernetes.cri-o.Annotations":"{\"plimsoll.io/view\":\"false\"}"}"#,
                true,
            ),
            (
                r#"{"io.kubernetes.cri-o.Labels":"{\"plimsoll.io/view\":\"false\"}"}"#,
                true,
            ),
            (r#"{"io.kubernetes.cri-o.Labels":"[]"}"#, false),
            ("{}", false),
            (r#"{"other":[[{}]],"plimsoll.io/view":"false"}"#, true),
            ("[1]", false),
            ("5", false),
            ("null", false),
        ] {
            assert_eq!(annotations(text).decline_view(), declines, "{text}");
        }
    }

    #[test]
    fn only_binds_of_the_hosts_own_trees_are_kept_of_the_mounts() {
        let text = r#"{"mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]},
            {"destination": "/sys/", "type": "bind", "source": "/sys", "options": ["rbind"]},
            {"destination": "/sys/devices", "type": "none", "source": "/sys/devices", "options": ["rbind"]},
            {"destination": "/host/sys", "type": "bind", "source": "/sys"},
            {"destination": "/proc/uptime", "type": "bind", "source": "/var/lib/lxcfs/proc/uptime"},
            {"destination": "/data", "type": "bind", "source": "/data"}
        ]}"#;
        let read: ContainerConfiguration = serde_json::from_str(text).unwrap();
        let kept = read.mounts.iter().map(|mount| mount.destination.clone());
        let kept: Vec<PathBuf> = kept.collect();
        assert_eq!(kept, ["/sys", "/sys/devices"].map(PathBuf::from));
    }
}
