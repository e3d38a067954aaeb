//! Pure. The rule that tells whether a container is left out of the view, and why.

use super::image::names_of;
use crate::{
    base::config::LeaveOut,
    facts::engines::{Description, Mark, VIEW},
};
use std::fmt;

/// The reason for which a container is left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaveOutReason {
    /// The container, or its pod, declines the view.
    Declined(Mark),
    /// The configuration leaves the container out.
    Configured {
        /// The key in the configuration.
        key: LeaveOutKey,
        /// The pattern.
        pattern: String,
        /// The text that the pattern matches.
        matched: String,
    },
}

/// A key of the table `[leave-out]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeaveOutKey {
    /// `images`
    Images,
    /// `names`
    Names,
    /// `namespaces`
    Namespaces,
}

/// Returns the reason for which a container is left out; `None` if it gets its view. The container's own
/// annotation or label comes first.
#[must_use]
pub fn reason(settings: &LeaveOut, container: &Description) -> Option<LeaveOutReason> {
    if let Some(mark) = container.declined_by {
        return Some(LeaveOutReason::Declined(mark));
    }
    let matched = |key, patterns: &[glob::Pattern], texts: &[&str]| {
        let mut pairs = patterns
            .iter()
            .flat_map(|pattern| texts.iter().map(move |text| (pattern, *text)));
        let (pattern, matched) = pairs.find(|(pattern, text)| pattern.matches(text))?;
        Some(LeaveOutReason::Configured {
            key,
            pattern: pattern.as_str().to_owned(),
            matched: matched.to_owned(),
        })
    };
    let images = container.images.iter().flat_map(|image| names_of(image));
    let images: Vec<String> = images.collect();
    let images: Vec<&str> = images.iter().map(String::as_str).collect();
    let names: Vec<&str> = container.names.iter().map(String::as_str).collect();
    let namespaces: Vec<&str> = container.namespace.as_deref().into_iter().collect();
    matched(LeaveOutKey::Images, &settings.images, &images)
        .or_else(|| matched(LeaveOutKey::Names, &settings.names, &names))
        .or_else(|| matched(LeaveOutKey::Namespaces, &settings.namespaces, &namespaces))
}

impl LeaveOutReason {
    /// Returns the rule without the container that it leaves out.
    #[must_use]
    pub fn rule(&self) -> String {
        match self {
            LeaveOutReason::Declined(Mark::Annotation) => format!("the annotation {VIEW}=false"),
            LeaveOutReason::Declined(Mark::Label) => format!("the label {VIEW}=false"),
            LeaveOutReason::Declined(Mark::Pod) => {
                format!("the annotation {VIEW}=false of its pod")
            }
            LeaveOutReason::Configured { key, pattern, .. } => {
                format!("leave-out.{key} = {pattern:?}")
            }
        }
    }
}

impl fmt::Display for LeaveOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaveOutReason::Declined(_) => f.write_str(&self.rule()),
            LeaveOutReason::Configured { matched, .. } => write!(f, "{} ({matched})", self.rule()),
        }
    }
}

impl fmt::Display for LeaveOutKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LeaveOutKey::Images => "images",
            LeaveOutKey::Names => "names",
            LeaveOutKey::Namespaces => "namespaces",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer of the table with that text for one container.
    fn asked(settings: &str, container: &Description) -> Option<String> {
        let config = crate::base::config::parse(&format!("[leave-out]\n{settings}\n"));
        reason(&config.unwrap().leave_out, container).map(|reason| reason.to_string())
    }

    fn cadvisor() -> Description {
        Description {
            names: vec![
                "kube-system/cadvisor-x7/cadvisor".to_owned(),
                "0a1b".to_owned(),
            ],
            images: vec!["gcr.io/cadvisor/cadvisor:v0.49.1".to_owned()],
            namespace: Some("kube-system".to_owned()),
            ..Description::default()
        }
    }

    #[test]
    fn a_container_is_left_out_by_its_image_its_name_or_its_namespace() {
        for (settings, expected) in [
            ("", None),
            ("images = [\"nginx\"]\nnames = [\"cadvisor\"]", None),
            (
                "images = [\"nginx\", \"*/cadvisor:*\"]",
                Some("leave-out.images = \"*/cadvisor:*\" (gcr.io/cadvisor/cadvisor:v0.49.1)"),
            ),
            (
                "images = [\"gcr.io/cadvisor/cadvisor\"]",
                Some("leave-out.images = \"gcr.io/cadvisor/cadvisor\" (gcr.io/cadvisor/cadvisor)"),
            ),
            (
                "names = [\"kube-system/cadvisor-??/*\"]",
                Some(
                    "leave-out.names = \"kube-system/cadvisor-??/*\" (kube-system/cadvisor-x7/cadvisor)",
                ),
            ),
            (
                "names = [\"0a1b\"]",
                Some("leave-out.names = \"0a1b\" (0a1b)"),
            ),
            (
                "namespaces = [\"kube-[a-s]*\"]",
                Some("leave-out.namespaces = \"kube-[a-s]*\" (kube-system)"),
            ),
            ("namespaces = [\"kube\"]", None),
        ] {
            assert_eq!(
                asked(settings, &cadvisor()).as_deref(),
                expected,
                "{settings}"
            );
        }
    }

    #[test]
    fn a_containers_own_word_comes_before_the_configuration() {
        for (mark, expected) in [
            (Mark::Annotation, "the annotation plimsoll.io/view=false"),
            (Mark::Label, "the label plimsoll.io/view=false"),
            (
                Mark::Pod,
                "the annotation plimsoll.io/view=false of its pod",
            ),
        ] {
            let container = Description {
                declined_by: Some(mark),
                ..cadvisor()
            };
            let said = asked("images = [\"*\"]", &container);
            assert_eq!(said.as_deref(), Some(expected));
        }
    }
}
