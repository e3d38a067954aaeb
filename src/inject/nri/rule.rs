//! Pure. The description of a container of a pod for the rules that leave containers out, and the
//! runtimes whose containers have a kernel of their own.

use super::messages::{Pod, PodContainer};
use crate::facts::engines::{
    ConfiguredLinux, ConfiguredNamespace, ContainerConfiguration, Description, Mark,
};

/// The first words of the names of runtimes that run a container in a virtual machine or on a kernel of
/// their own: the process that the host sees is not one of the container.
const SANDBOXED: [&str; 6] = ["kata", "gvisor", "runsc", "kuasar", "firecracker", "urunc"];

/// Returns whether the containers of the runtime class `handler` have another kernel than the host's.
#[must_use]
pub(super) fn is_sandboxed(handler: &str) -> bool {
    let handler = handler.to_ascii_lowercase();
    SANDBOXED.iter().any(|name| handler.starts_with(name))
}

/// Returns whether the process with that `/proc/PID/cgroup` can be one of the container. The cgroup of a
/// container has its id as a name, unless another plugin has changed the cgroup.
#[must_use]
pub(super) fn is_in_cgroup(container: &PodContainer, membership: &str) -> bool {
    let is_named = !container.id.is_empty() && container.cgroup.contains(&container.id);
    !is_named || membership.contains(&container.id)
}

/// Returns the name that `attach` shows of the container.
#[must_use]
pub(super) fn shown(pod: &Pod, container: &PodContainer) -> String {
    match pod.name.is_empty() {
        true => container.id.clone(),
        false => format!("{}/{}/{}", pod.namespace, pod.name, container.name),
    }
}

/// Describes a container, with the annotation that declines the view.
#[must_use]
pub(super) fn description(pod: &Pod, container: &PodContainer) -> Description {
    let images = container.annotations.images().map(str::to_owned);
    let namespaces = container
        .namespaces
        .iter()
        .map(|kind| ConfiguredNamespace { kind: kind.clone() });
    Description {
        names: vec![shown(pod, container), container.id.clone()],
        images: images.collect(),
        namespace: Some(pod.namespace.clone()).filter(|name| !name.is_empty()),
        declined_by: declined_by(pod, container),
        configuration: Some(ContainerConfiguration {
            mounts: container.mounts.clone(),
            linux: Some(ConfiguredLinux {
                namespaces: Some(namespaces.collect()),
                ..ConfiguredLinux::default()
            }),
            ..ContainerConfiguration::default()
        }),
    }
}

/// Returns the annotation that declines the view. An annotation of the pod about this container comes
/// first, then those of the container, then those of the pod about all of its containers.
fn declined_by(pod: &Pod, container: &PodContainer) -> Option<Mark> {
    let scoped = |scope: &str| pod.scoped.get(scope);
    if let Some(value) = scoped(&format!("container.{}", container.name)) {
        return (value == "false").then_some(Mark::Pod);
    }
    if container.annotations.decline_view() {
        return Some(Mark::Annotation);
    }
    let declines = match scoped("pod") {
        Some(value) => value == "false",
        None => pod.annotations.decline_view(),
    };
    declines.then_some(Mark::Pod)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::engines::{Annotations, VIEW};

    fn annotations(value: &str) -> Annotations {
        Annotations::of([(VIEW.to_owned(), value.to_owned())])
    }

    fn web() -> PodContainer {
        PodContainer {
            id: "0a1b".to_owned(),
            name: "web".to_owned(),
            ..PodContainer::default()
        }
    }

    /// Returns the mark of a pod with these annotations of scopes, and with that of the whole pod.
    fn declined(scoped: &[(&str, &str)], whole: &str) -> Option<Mark> {
        let scoped = scoped
            .iter()
            .map(|(scope, value)| ((*scope).to_owned(), (*value).to_owned()));
        let pod = Pod {
            scoped: scoped.collect(),
            annotations: annotations(whole),
            ..Pod::default()
        };
        declined_by(&pod, &web())
    }

    #[test]
    fn the_annotation_with_the_narrowest_scope_decides() {
        for (scoped, whole, expected) in [
            (&[][..], "true", None),
            (&[], "false", Some(Mark::Pod)),
            (&[("pod", "true")], "false", None),
            (&[("pod", "false")], "true", Some(Mark::Pod)),
            (&[("container.web", "true")], "false", None),
            (
                &[("container.web", "false"), ("pod", "true")],
                "true",
                Some(Mark::Pod),
            ),
            (&[("container.db", "false")], "true", None),
        ] {
            assert_eq!(declined(scoped, whole), expected, "{scoped:?} {whole}");
        }
    }

    #[test]
    fn an_annotation_of_the_container_declines_unless_the_pod_names_the_container() {
        let container = PodContainer {
            annotations: annotations("false"),
            ..web()
        };
        let mut pod = Pod::default();
        assert_eq!(declined_by(&pod, &container), Some(Mark::Annotation));
        pod.scoped
            .insert("container.web".to_owned(), "true".to_owned());
        assert_eq!(declined_by(&pod, &container), None);
    }

    #[test]
    fn a_container_is_described_as_the_configuration_names_it() {
        let pod = Pod {
            name: "shop-7".to_owned(),
            namespace: "default".to_owned(),
            ..Pod::default()
        };
        let image = (
            "io.kubernetes.cri.image-name".to_owned(),
            "nginx:1".to_owned(),
        );
        let container = PodContainer {
            annotations: Annotations::of([image]),
            namespaces: vec!["pid".to_owned()],
            ..web()
        };
        let found = description(&pod, &container);
        assert_eq!(found.names, ["default/shop-7/web", "0a1b"]);
        assert_eq!(found.images, ["nginx:1"]);
        assert_eq!(found.namespace.as_deref(), Some("default"));
        assert!(found.configuration.unwrap().has_namespace("pid"));
    }

    #[test]
    fn a_container_with_a_kernel_of_its_own_is_known_by_its_runtime_class() {
        for handler in ["kata-qemu", "Kata", "gvisor", "runsc-kvm"] {
            assert!(is_sandboxed(handler), "{handler}");
        }
        for handler in ["", "runc", "plimsoll", "crun", "nvidia"] {
            assert!(!is_sandboxed(handler), "{handler}");
        }
    }

    #[test]
    fn a_process_in_the_cgroup_of_another_container_is_not_one_of_this_container() {
        let own = PodContainer {
            cgroup: "kubepods.slice:cri-containerd:0a1b".to_owned(),
            ..web()
        };
        assert!(is_in_cgroup(
            &own,
            "0::/kubepods.slice/cri-containerd-0a1b.scope\n"
        ));
        assert!(!is_in_cgroup(
            &own,
            "0::/kubepods.slice/cri-containerd-ffff.scope\n"
        ));
        let moved = PodContainer {
            cgroup: "/batch/seven".to_owned(),
            ..web()
        };
        assert!(is_in_cgroup(&moved, "0::/batch/seven\n"));
    }
}
