//! Pure. The names of one image: engines write the same image in different ways.

/// The registry and the namespace that an engine adds to a short name.
const REGISTRY: &str = "docker.io/";
const OFFICIAL: &str = "docker.io/library/";

/// Lists the names by which a pattern may mean the image `reference`: as it is written, with and without
/// Docker's registry, and each of them with and without the tag and the digest.
pub(super) fn names_of(reference: &str) -> Vec<String> {
    let untagged = without_tag(reference);
    let mut names = Vec::new();
    for name in [reference, untagged] {
        let short = name.strip_prefix(OFFICIAL);
        let short = short
            .or_else(|| name.strip_prefix(REGISTRY))
            .unwrap_or(name);
        let first = short.split('/').next().unwrap_or_default();
        // A first part with a dot or a port is a registry (reference.splitDockerDomain in Docker).
        let has_registry =
            short.contains('/') && (first.contains(['.', ':']) || first == "localhost");
        let full = match (has_registry, short.contains('/')) {
            (true, _) => short.to_owned(),
            (false, true) => format!("{REGISTRY}{short}"),
            (false, false) => format!("{OFFICIAL}{short}"),
        };
        names.extend([name.to_owned(), short.to_owned(), full]);
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// Returns the reference without its tag and its digest. A colon before a slash is that of a port.
fn without_tag(reference: &str) -> &str {
    let named = reference.split('@').next().unwrap_or(reference);
    match named.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_has_the_same_names_however_its_engine_writes_it() {
        let nginx = [
            "docker.io/library/nginx",
            "docker.io/library/nginx:1.25",
            "nginx",
            "nginx:1.25",
        ];
        for reference in ["nginx:1.25", "docker.io/library/nginx:1.25"] {
            assert_eq!(names_of(reference), nginx, "{reference}");
        }
        for (reference, name) in [
            (
                "prom/node-exporter@sha256:00",
                "docker.io/prom/node-exporter",
            ),
            ("docker.io/prom/node-exporter", "prom/node-exporter"),
            ("localhost:5000/agent", "localhost:5000/agent"),
            ("localhost:5000/agent:2", "localhost:5000/agent"),
            (
                "gcr.io/cadvisor/cadvisor:v0.49.1",
                "gcr.io/cadvisor/cadvisor",
            ),
        ] {
            assert!(
                names_of(reference).iter().any(|one| one == name),
                "{reference}"
            );
        }
        assert!(
            !names_of("localhost:5000/agent")
                .iter()
                .any(|name| name.contains("docker.io"))
        );
    }
}
