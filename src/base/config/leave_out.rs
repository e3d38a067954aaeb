//! Pure. The containers that the administrator leaves out of the view, the table `[leave-out]`.

use glob::Pattern;
use serde::{Deserialize, Deserializer, de::Error};

/// The patterns of the containers that get no view. A pattern matches a whole text, and its `*` matches
/// any letters, `/` too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LeaveOut {
    /// The patterns of images.
    #[serde(deserialize_with = "images")]
    pub images: Vec<Pattern>,
    /// The patterns of names and ids.
    #[serde(deserialize_with = "names")]
    pub names: Vec<Pattern>,
    /// The patterns of namespaces: of Kubernetes, or of containerd for a container of no pod.
    #[serde(deserialize_with = "namespaces")]
    pub namespaces: Vec<Pattern>,
}

impl LeaveOut {
    /// Returns true if no pattern leaves a container out.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let LeaveOut {
            images,
            names,
            namespaces,
        } = self;
        [images, names, namespaces]
            .iter()
            .all(|patterns| patterns.is_empty())
    }
}

fn images<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pattern>, D::Error> {
    patterns("images", "*/cadvisor:*", from)
}

fn names<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pattern>, D::Error> {
    patterns("names", "monitor-*", from)
}

fn namespaces<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Pattern>, D::Error> {
    patterns("namespaces", "kube-*", from)
}

/// Parses the list of patterns at `key`; an error names the key, the value and an `example`.
fn patterns<'de, D: Deserializer<'de>>(
    key: &str,
    example: &str,
    from: D,
) -> Result<Vec<Pattern>, D::Error> {
    let mistake = |error: String| D::Error::custom(format!("leave-out.{key}: {error}"));
    let texts = Vec::<String>::deserialize(from).map_err(|error| {
        let error = error.to_string();
        mistake(error.trim_end().to_owned())
    })?;
    let pattern = |text: &String| {
        let is_no = |why: &str| mistake(format!("{text:?} is no pattern like {example:?}: {why}"));
        match Pattern::new(text) {
            Ok(_) if text.is_empty() => Err(is_no("an empty pattern matches no container")),
            Ok(pattern) => Ok(pattern),
            Err(error) => {
                let why = format!("{} at letter {}", error.msg, error.pos + 1);
                Err(is_no(&why))
            }
        }
    };
    texts.iter().map(pattern).collect()
}
