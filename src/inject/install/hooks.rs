//! Pure. The files that are ours alone: they are as they are packaged, but for where the program is.

/// Where the packaged files say that the program is.
const PACKAGED: &str = "/usr/bin/plimsoll";

/// What podman and CRI-O read (oci-hooks(5)).
pub(super) fn oci(program: &str) -> String {
    with(
        include_str!("../../../packaging/hooks.d/plimsoll.json"),
        program,
    )
}

/// A device of the Container Device Interface, for whoever wants the view by name.
pub(super) fn cdi(program: &str) -> String {
    with(
        include_str!("../../../packaging/cdi/plimsoll.json"),
        program,
    )
}

/// What LXC's containers include: a mount hook (lxc.container.conf(5)).
pub(super) fn lxc(program: &str) -> String {
    include_str!("../../../packaging/lxc/plimsoll.conf").replace(PACKAGED, program)
}

fn with(packaged: &str, program: &str) -> String {
    let quoted = serde_json::Value::from(program).to_string();
    packaged.replace(&format!("\"{PACKAGED}\""), &quoted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inject::oci::add_hook;
    use serde_json::{Value, json};

    /// The hook that the wrapper adds.
    fn added(program: &str) -> Value {
        let mut configuration = json!({});
        add_hook(&mut configuration, program).unwrap();
        configuration["hooks"]["createRuntime"][0].take()
    }

    #[test]
    fn lxc_calls_the_program_where_it_is() {
        let text = lxc("/opt/plimsoll");
        assert!(text.contains("\nlxc.hook.mount = /opt/plimsoll hook --lxc\n"));
    }

    #[test]
    fn every_way_calls_the_same_hook() {
        for program in [PACKAGED, "/opt/a \"b\"/plimsoll"] {
            let oci: Value = serde_json::from_str(&oci(program)).unwrap();
            assert_eq!(oci["hook"], added(program));
            let cdi: Value = serde_json::from_str(&cdi(program)).unwrap();
            let mut hook = cdi["devices"][0]["containerEdits"]["hooks"][0].clone();
            hook.as_object_mut().unwrap().shift_remove("hookName");
            assert_eq!(hook, added(program));
        }
    }
}
