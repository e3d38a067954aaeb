//! Pure. The messages of NRI, the Node Resource Interface, as far as this program needs them.
//!
//! The numbers of the fields are those of `pkg/api/api.proto` of NRI. From version 0.3 to 0.12 fields
//! were only added.

use super::fields::{FieldError, FieldReader, FieldValue, FieldWriter};
use crate::facts::engines::{Annotations, ConfiguredMount};
use std::{collections::BTreeMap, time::Duration};

/// The service of the runtime.
pub(super) const RUNTIME: &str = "nri.pkg.api.v1alpha1.Runtime";

/// The prefix of the annotations of a pod that are about one of its containers, `container.NAME`, or
/// about all of them, `pod`. An annotation of Kubernetes has one slash, so `plimsoll.io/view` cannot
/// have such an end.
const SCOPED: &str = "view.plimsoll.io/";

/// The event that a container starts, as NRI numbers events.
const START_CONTAINER: u64 = 6;

/// The events that the runtime shall send, one bit for each. An unknown bit makes an old runtime refuse
/// the plugin, and an event that is not asked for costs nobody any time.
const EVENTS: u64 = 1 << (START_CONTAINER - 1);

/// Returns the arguments with which a plugin registers.
#[must_use]
pub(super) fn registration(name: &str, index: &str) -> Vec<u8> {
    let fields = FieldWriter::default().bytes(1, name).bytes(2, index);
    fields.message()
}

/// Returns the answer to `Configure`: the events that the runtime shall send.
#[must_use]
pub(super) fn subscription() -> Vec<u8> {
    FieldWriter::default().number(2, EVENTS).message()
}

/// Returns the answer to `Synchronize`. The runtime sends more containers only if the answer repeats
/// that there are `more`.
#[must_use]
pub(super) fn synchronized(more: bool) -> Vec<u8> {
    FieldWriter::default().number(2, more.into()).message()
}

/// A runtime, as it introduces itself by `Configure`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NriRuntime {
    /// The name, such as `containerd`.
    pub name: String,
    /// The version.
    pub version: String,
    /// The time after which the runtime drops a plugin that has not answered; `None` from a runtime of
    /// NRI before 0.8, which does not say.
    pub request_timeout: Option<Duration>,
}

impl NriRuntime {
    /// Parses the arguments of `Configure`.
    ///
    /// # Errors
    /// When the bytes are no protobuf message.
    pub fn parse(bytes: &[u8]) -> Result<NriRuntime, FieldError> {
        let mut runtime = NriRuntime::default();
        for field in FieldReader::new(bytes) {
            match field? {
                (2, value) => runtime.name = value.text().into_owned(),
                (3, value) => runtime.version = value.text().into_owned(),
                (5, value) => {
                    let timeout = Duration::from_millis(value.number());
                    runtime.request_timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
                }
                _ => {}
            }
        }
        Ok(runtime)
    }
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// The id of the sandbox.
    pub id: String,
    /// The name.
    pub name: String,
    /// The namespace of Kubernetes.
    pub namespace: String,
    /// The annotations.
    pub annotations: Annotations,
    /// The annotations `view.plimsoll.io/SCOPE`, by their scopes.
    pub scoped: BTreeMap<String, String>,
    /// The name of the runtime in the runtime class; empty for the default.
    pub handler: String,
}

impl Pod {
    /// Parses a pod.
    ///
    /// # Errors
    /// When the bytes are no protobuf message.
    pub fn parse(bytes: &[u8]) -> Result<Pod, FieldError> {
        let mut pod = Pod::default();
        let mut annotations = Vec::new();
        for field in FieldReader::new(bytes) {
            match field? {
                (1, value) => pod.id = value.text().into_owned(),
                (2, value) => pod.name = value.text().into_owned(),
                (4, value) => pod.namespace = value.text().into_owned(),
                (6, value) => annotations.push(entry(value)?),
                (7, value) => pod.handler = value.text().into_owned(),
                _ => {}
            }
        }
        let scoped = annotations.iter().filter_map(|(key, value)| {
            let scope = key.strip_prefix(SCOPED)?;
            Some((scope.to_owned(), value.clone()))
        });
        pod.scoped = scoped.collect();
        pod.annotations = Annotations::of(annotations);
        Ok(pod)
    }
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodContainer {
    /// The id.
    pub id: String,
    /// The id of the pod's sandbox.
    pub pod: String,
    /// The name in the pod.
    pub name: String,
    /// The annotations of the container itself.
    pub annotations: Annotations,
    /// The binds of a part of the host's `/proc` or `/sys` at its own path.
    pub mounts: Vec<ConfiguredMount>,
    /// The kinds of the namespaces that the container has of its own or joins.
    pub namespaces: Vec<String>,
    /// The path of the cgroup, as the runtime configures it.
    pub cgroup: String,
    /// The first process; 0 where there is none.
    pub pid: u32,
}

impl PodContainer {
    /// Parses a container.
    ///
    /// # Errors
    /// When the bytes are no protobuf message.
    pub fn parse(bytes: &[u8]) -> Result<PodContainer, FieldError> {
        let mut container = PodContainer::default();
        let mut annotations = Vec::new();
        for field in FieldReader::new(bytes) {
            match field? {
                (1, value) => container.id = value.text().into_owned(),
                (2, value) => container.pod = value.text().into_owned(),
                (3, value) => container.name = value.text().into_owned(),
                (6, value) => annotations.push(entry(value)?),
                (9, value) => {
                    let mount = mount(value)?;
                    container
                        .mounts
                        .extend(Some(mount).filter(ConfiguredMount::is_host_bind));
                }
                (11, value) => container.parse_linux(value)?,
                (12, value) => container.pid = u32::try_from(value.number()).unwrap_or_default(),
                _ => {}
            }
        }
        container.annotations = Annotations::of(annotations);
        Ok(container)
    }

    fn parse_linux(&mut self, value: FieldValue<'_>) -> Result<(), FieldError> {
        for field in FieldReader::new(value.bytes()) {
            match field? {
                (1, namespace) => {
                    for field in FieldReader::new(namespace.bytes()) {
                        if let (1, kind) = field? {
                            self.namespaces.push(kind.text().into_owned());
                        }
                    }
                }
                (5, path) => self.cgroup = path.text().into_owned(),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A part of the list of pods and containers, the arguments of `Synchronize`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedPart {
    /// The pods.
    pub pods: Vec<Pod>,
    /// The containers.
    pub containers: Vec<PodContainer>,
    /// True if another part follows.
    pub more: bool,
}

impl ListedPart {
    /// Parses a part. A pod or container that is no message is left out.
    ///
    /// # Errors
    /// When the bytes are no protobuf message.
    pub fn parse(bytes: &[u8]) -> Result<ListedPart, FieldError> {
        let mut part = ListedPart::default();
        for field in FieldReader::new(bytes) {
            match field? {
                (1, value) => part.pods.extend(Pod::parse(value.bytes())),
                (2, value) => part.containers.extend(PodContainer::parse(value.bytes())),
                (3, value) => part.more = value.number() != 0,
                _ => {}
            }
        }
        Ok(part)
    }
}

/// Parses the arguments of `StartContainer`.
///
/// # Errors
/// When the bytes are no protobuf message.
pub(super) fn started(bytes: &[u8]) -> Result<(Pod, PodContainer), FieldError> {
    let (mut pod, mut container) = (Pod::default(), PodContainer::default());
    for field in FieldReader::new(bytes) {
        match field? {
            (1, value) => pod = Pod::parse(value.bytes())?,
            (2, value) => container = PodContainer::parse(value.bytes())?,
            _ => {}
        }
    }
    Ok((pod, container))
}

/// Parses the arguments of `StateChange`, by which runtimes of NRI before 0.12 tell of a start. `None`
/// for another event.
///
/// # Errors
/// When the bytes are no protobuf message.
pub(super) fn started_by_state(bytes: &[u8]) -> Result<Option<(Pod, PodContainer)>, FieldError> {
    let (mut event, mut pod, mut container) = (0, Pod::default(), PodContainer::default());
    for field in FieldReader::new(bytes) {
        match field? {
            (1, value) => event = value.number(),
            (2, value) => pod = Pod::parse(value.bytes())?,
            (3, value) => container = PodContainer::parse(value.bytes())?,
            _ => {}
        }
    }
    Ok((event == START_CONTAINER).then_some((pod, container)))
}

/// Parses an entry of a map of texts.
fn entry(value: FieldValue<'_>) -> Result<(String, String), FieldError> {
    let mut entry = (String::new(), String::new());
    for field in FieldReader::new(value.bytes()) {
        match field? {
            (1, key) => entry.0 = key.text().into_owned(),
            (2, value) => entry.1 = value.text().into_owned(),
            _ => {}
        }
    }
    Ok(entry)
}

fn mount(value: FieldValue<'_>) -> Result<ConfiguredMount, FieldError> {
    let mut mount = ConfiguredMount::default();
    let mut options = Vec::new();
    for field in FieldReader::new(value.bytes()) {
        match field? {
            (1, path) => mount.destination = path.text().as_ref().into(),
            (2, kind) => mount.kind = Some(kind.text().into_owned()),
            (3, path) => mount.source = Some(path.text().as_ref().into()),
            (4, option) => options.push(option.text().into_owned()),
            _ => {}
        }
    }
    mount.options = Some(options);
    Ok(mount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

    fn fields() -> FieldWriter {
        FieldWriter::default()
    }

    fn map_entry(key: &str, value: &str) -> Vec<u8> {
        fields().bytes(1, key).bytes(2, value).message()
    }

    fn pod_message(pod: &Pod) -> Vec<u8> {
        let mut message = fields()
            .bytes(1, &pod.id)
            .bytes(2, &pod.name)
            .bytes(3, "uid")
            .bytes(4, &pod.namespace)
            .bytes(7, &pod.handler)
            .number(9, 77)
            .bytes(10, "10.0.0.1");
        for (scope, value) in &pod.scoped {
            message = message.item(6, map_entry(&format!("{SCOPED}{scope}"), value));
        }
        message.message()
    }

    fn container_message(container: &PodContainer) -> Vec<u8> {
        let mut linux = fields().bytes(5, &container.cgroup);
        for kind in &container.namespaces {
            linux = linux.item(1, fields().bytes(1, kind).bytes(2, "/path").message());
        }
        fields()
            .bytes(1, &container.id)
            .bytes(2, &container.pod)
            .bytes(3, &container.name)
            .item(9, fields().bytes(1, "/data").bytes(2, "bind").message())
            .bytes(11, linux.message())
            .number(12, container.pid.into())
            .number(99, 5)
            .message()
    }

    fn pods() -> impl Strategy<Value = Pod> {
        let scoped = prop::collection::btree_map("[a-z.]{1,9}", "[a-z]{0,9}", 0..3);
        (".{0,9}", ".{0,9}", ".{0,9}", ".{0,9}", scoped).prop_map(
            |(id, name, namespace, handler, scoped)| Pod {
                id,
                name,
                namespace,
                scoped,
                handler,
                ..Pod::default()
            },
        )
    }

    fn containers() -> impl Strategy<Value = PodContainer> {
        let namespaces = prop::collection::vec("[a-z]{1,9}", 0..4);
        let texts = (".{0,9}", ".{0,9}", ".{0,9}", ".{0,9}");
        (texts, namespaces, any::<u32>()).prop_map(|((id, pod, name, cgroup), namespaces, pid)| {
            PodContainer {
                id,
                pod,
                name,
                namespaces,
                cgroup,
                pid,
                ..PodContainer::default()
            }
        })
    }

    #[test]
    fn a_plugin_asks_for_starts_alone() {
        assert_eq!(subscription(), [0x10, 0x20]);
        assert_eq!(
            registration("plimsoll", "90"),
            b"\x0a\x08plimsoll\x12\x0290"
        );
    }

    #[test]
    fn the_list_goes_on_only_if_the_answer_says_more() {
        assert_eq!(synchronized(true), [0x10, 1]);
        assert_eq!(synchronized(false), b"");
    }

    #[test]
    fn a_runtime_says_its_name_and_its_timeout_or_none() {
        let message = fields().bytes(2, "containerd").bytes(3, "v2.1.9");
        let named = NriRuntime {
            name: "containerd".to_owned(),
            version: "v2.1.9".to_owned(),
            request_timeout: None,
        };
        assert_eq!(
            NriRuntime::parse(&message.clone().message()),
            Ok(named.clone())
        );
        let timed = message.number(4, 5000).number(5, 2000).message();
        let request_timeout = Some(Duration::from_secs(2));
        let expected = NriRuntime {
            request_timeout,
            ..named
        };
        assert_eq!(NriRuntime::parse(&timed), Ok(expected));
    }

    #[test]
    fn a_bind_of_the_hosts_sys_and_a_declining_annotation_are_kept_of_a_container() {
        let bind = fields()
            .bytes(1, "/sys")
            .bytes(2, "bind")
            .bytes(3, "/sys")
            .bytes(4, "rbind");
        let message = fields()
            .item(6, map_entry("plimsoll.io/view", "false"))
            .item(9, bind.message())
            .message();
        let container = PodContainer::parse(&message).unwrap();
        assert!(container.annotations.decline_view());
        assert_eq!(container.mounts.len(), 1);
    }

    #[test]
    fn only_the_state_change_of_a_start_is_a_start() {
        for event in 0..15 {
            let message = fields().number(1, event).message();
            let is_start = started_by_state(&message).unwrap().is_some();
            assert_eq!(is_start, event == 6, "{event}");
        }
    }

    proptest! {
        #[test]
        fn a_start_is_read_as_it_was_written_by_both_kinds_of_runtimes(pod in pods(), container in containers()) {
            let (pod_bytes, bytes) = (pod_message(&pod), container_message(&container));
            let call = fields().item(1, &pod_bytes).item(2, &bytes).message();
            prop_assert_eq!(started(&call), Ok((pod.clone(), container.clone())));
            let change = fields().number(1, 6).item(2, &pod_bytes).item(3, &bytes).message();
            prop_assert_eq!(started_by_state(&change), Ok(Some((pod, container))));
        }

        #[test]
        fn a_list_is_read_as_it_was_written(
            pods in prop::collection::vec(pods(), 0..3),
            containers in prop::collection::vec(containers(), 0..3),
            more: bool,
        ) {
            let mut message = fields();
            for pod in &pods {
                message = message.item(1, pod_message(pod));
            }
            for container in &containers {
                message = message.item(2, container_message(container));
            }
            let message = message.number(3, more.into()).message();
            prop_assert_eq!(ListedPart::parse(&message), Ok(ListedPart { pods, containers, more }));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (started(&bytes), started_by_state(&bytes), ListedPart::parse(&bytes));
            let _ = (NriRuntime::parse(&bytes), PodContainer::parse(&bytes), Pod::parse(&bytes));
        }
    }
}
