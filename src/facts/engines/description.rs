//! Pure. Facts about one container that rules can name: its names, image, namespace, and the annotation
//! or label that declines the view.

use super::configuration::ContainerConfiguration;

/// The facts about a container that rules can name. A fact that no file holds is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The name and the id.
    pub names: Vec<String>,
    /// The image, in each way in which the engine names it.
    pub images: Vec<String>,
    /// The namespace of Kubernetes, or that of containerd for a container of no pod.
    pub namespace: Option<String>,
    /// The text that declines the view.
    pub declined_by: Option<Mark>,
    /// The container's OCI configuration; `None` where there is none, or it cannot be read.
    pub configuration: Option<ContainerConfiguration>,
}

/// The text by which a container declines the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// An annotation of the container.
    Annotation,
    /// A label of the container.
    Label,
    /// An annotation or label of the container's pod.
    Pod,
}
