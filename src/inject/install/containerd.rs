//! Pure. The runtime `plimsoll` in containerd's `config.toml`, for a RuntimeClass of Kubernetes.

use toml_edit::{DocumentMut, Item, Table, TableLike, Value, value};

use super::{
    EditError,
    runtimes::{NAME, Runtimes, is_our_program},
};

/// The pattern of files that the default configuration imports since containerd 2.2. Since 2.0, an
/// imported file is merged.
const IMPORTED: &str = "/etc/containerd/conf.d/*.toml";

/// The keys below `plugins` down to the runtimes, in configurations of version 2.
const VERSION_2: [&str; 3] = ["io.containerd.grpc.v1.cri", "containerd", "runtimes"];
/// The keys below `plugins` down to the runtimes, in configurations of version 3 and later.
const VERSION_3: [&str; 3] = ["io.containerd.cri.v1.runtime", "containerd", "runtimes"];

/// The keys of the switch of NRI, by which the plugin of Plimsoll is told of pods.
const NRI: [&str; 3] = ["plugins", "io.containerd.nri.v1.nri", "disable"];

/// The comment after a switch that was not in the file, and after one that was `true`.
const SWITCHED: [&str; 2] = [" # by plimsoll install", " # by plimsoll install, was true"];

/// The table in which this version of containerd expects runtimes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuntimeTable {
    /// A table of the configuration itself.
    Configuration,
    /// A table of a drop-in file that the configuration imports.
    DropIn,
    /// No table: the configuration switches the plugin for Kubernetes off.
    Disabled,
}

/// Returns the table in which the containerd of this configuration expects runtimes.
///
/// Before containerd 2.0 (version 3) an imported file replaces the whole configuration of a plugin
/// (containerd's issues 5837 and 7982), so that only version 3 and later get a file of its own.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration of version 2 or later.
pub(super) fn runtime_table(text: &str) -> Result<RuntimeTable, EditError> {
    let document = parse(text)?;
    let names = |key: &str, name: &str| {
        let list = document.get(key).and_then(Item::as_array);
        list.is_some_and(|list| list.iter().any(|item| item.as_str() == Some(name)))
    };
    if names("disabled_plugins", "cri") || names("disabled_plugins", VERSION_2[0]) {
        return Ok(RuntimeTable::Disabled);
    }
    let is_imported = version(&document)? >= 3 && names("imports", IMPORTED);
    Ok(match is_imported {
        true => RuntimeTable::DropIn,
        false => RuntimeTable::Configuration,
    })
}

/// Returns the configuration with that runtime, which gets the options of `runc`. Everything else
/// stays as it is written.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration of version 2 or later.
pub(super) fn set(text: &str, runtime: &str) -> Result<String, EditError> {
    let mut document = parse(text)?;
    let options = options(&document)?;
    put(&mut document, runtime, &options)?;
    if let Some(comment) = nri_switch(&document)? {
        switch_nri_on(&mut document, comment)?;
    }
    Ok(document.to_string())
}

/// Returns the runtime's own file, for a configuration that imports it.
///
/// # Errors
///
/// [`EditError`] when the configuration is not of version 2 or later.
pub(super) fn drop_in(configuration: &str, runtime: &str) -> Result<String, EditError> {
    let configuration = parse(configuration)?;
    let mut document = DocumentMut::new();
    document.insert("version", value(version(&configuration)?));
    put(&mut document, runtime, &options(&configuration)?)?;
    if let Some(comment) = nri_switch(&configuration)? {
        switch_nri_on(&mut document, comment)?;
    }
    Ok(document.to_string())
}

/// Returns the configuration without the runtime; `None` if only the version is left.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration of version 2 or later.
pub(super) fn unset(text: &str) -> Result<Option<String>, EditError> {
    let mut document = parse(text)?;
    let keys = keys(&document)?;
    let mut path = vec!["plugins"];
    path.extend(keys);
    path.push(NAME);
    let had = take(document.as_table_mut(), &path) | restore_nri(&mut document);
    let is_empty = document.iter().all(|(key, _)| key == "version");
    Ok((!(had && is_empty)).then(|| document.to_string()))
}

/// Returns Plimsoll's runtimes in the configuration, by their program, and the default runtime.
///
/// # Errors
///
/// [`EditError`] when the text is no configuration of version 2 or later.
pub(super) fn runtimes(text: &str) -> Result<Runtimes, EditError> {
    let document = parse(text)?;
    let [plugin, containerd, runtimes] = keys(&document)?;
    let mut item = document.get("plugins");
    for key in [plugin, containerd] {
        item = item.and_then(|item| item.get(key));
    }
    let all = item
        .and_then(|item| item.get(runtimes))
        .and_then(Item::as_table_like);
    let all = all.into_iter().flat_map(|all| all.iter());
    let ours = all.filter(|(_, runtime)| binary(runtime).is_some_and(is_our_program));
    let default = item.and_then(|item| item.get("default_runtime_name"));
    Ok(Runtimes {
        ours: ours.map(|(name, _)| name.to_owned()).collect(),
        default: default.and_then(Item::as_str).map(str::to_owned),
    })
}

/// Returns the comment of the switch that turns NRI on; `None` where NRI is on. NRI is off by default in
/// containerd 1.7, whose configuration has version 2, and on in later versions.
fn nri_switch(document: &DocumentMut) -> Result<Option<&'static str>, EditError> {
    let [added, changed] = SWITCHED;
    Ok(match nri_disabled(document).and_then(Item::as_bool) {
        Some(true) => Some(changed),
        None if version(document)? == 2 => Some(added),
        Some(false) | None => None,
    })
}

fn nri_disabled(document: &DocumentMut) -> Option<&Item> {
    let [plugins, nri, disable] = NRI;
    document.get(plugins)?.get(nri)?.get(disable)
}

/// Returns the table at a path of keys; a table that is missing is made.
fn table_at<'document, 'key>(
    document: &'document mut DocumentMut,
    path: impl IntoIterator<Item = &'key str>,
) -> Result<&'document mut dyn TableLike, EditError> {
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for key in path {
        let item = table.entry(key).or_insert_with(|| {
            let mut table = Table::new();
            table.set_implicit(true);
            Item::Table(table)
        });
        let inner = item.as_table_like_mut();
        table = inner.ok_or(EditError::Misshapen("plugins"))?;
    }
    Ok(table)
}

fn switch_nri_on(document: &mut DocumentMut, comment: &str) -> Result<(), EditError> {
    let [plugins, nri, disable] = NRI;
    let table = table_at(document, [plugins, nri])?;
    let mut off = Value::from(false);
    off.decor_mut().set_suffix(comment);
    table.insert(disable, Item::Value(off));
    Ok(())
}

/// Turns the switch of NRI back that [`switch_nri_on`] has turned. Tells whether there was one.
fn restore_nri(document: &mut DocumentMut) -> bool {
    let [added, changed] = SWITCHED;
    let switch = nri_disabled(document).and_then(Item::as_value);
    let comment = switch.and_then(|switch| switch.decor().suffix()?.as_str());
    let comment = comment.map(str::trim_end);
    if comment == Some(changed) {
        let [plugins, nri, disable] = NRI;
        let table = document.get_mut(plugins).and_then(|it| it.get_mut(nri));
        if let Some(item) = table.and_then(|it| it.get_mut(disable)) {
            *item = value(true);
        }
        return true;
    }
    comment == Some(added) && take(document.as_table_mut(), &NRI)
}

/// Returns the program of a runtime.
fn binary(runtime: &Item) -> Option<&str> {
    runtime.get("options")?.get("BinaryName")?.as_str()
}

/// Removes the entry at the end of the path, and each table above that held nothing else. Tells
/// whether the entry was there.
fn take(table: &mut dyn TableLike, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return table.remove(first).is_some();
    }
    let Some(inner) = table.get_mut(first).and_then(Item::as_table_like_mut) else {
        return false;
    };
    let had = take(inner, rest);
    if had && inner.is_empty() {
        table.remove(first);
    }
    had
}

fn parse(text: &str) -> Result<DocumentMut, EditError> {
    let text = match text.trim().is_empty() {
        true => "version = 2\n",
        false => text,
    };
    text.parse()
        .map_err(|error: toml_edit::TomlError| EditError::Garbled(error.to_string()))
}

fn version(document: &DocumentMut) -> Result<i64, EditError> {
    let version = document.get("version").and_then(Item::as_integer);
    version
        .filter(|version| *version >= 2)
        .ok_or(EditError::Version)
}

fn keys(document: &DocumentMut) -> Result<[&'static str; 3], EditError> {
    Ok(match version(document)? {
        2 => VERSION_2,
        _ => VERSION_3,
    })
}

/// Returns the options of the runtime `runc`, but for its program. Ours must have them too: both
/// runtimes must have the same cgroup driver (`SystemdCgroup`).
fn options(document: &DocumentMut) -> Result<Vec<(String, Item)>, EditError> {
    let mut item = document.get("plugins");
    for key in keys(document)?.into_iter().chain(["runc", "options"]) {
        item = item.and_then(|item| item.get(key));
    }
    let options = item.and_then(Item::as_table_like);
    let options = options.into_iter().flat_map(|options| options.iter());
    let other = options.filter(|(key, _)| *key != "BinaryName");
    Ok(other
        .filter_map(|(key, item)| Some((key.to_owned(), value(item.as_value()?.clone()))))
        .collect())
}

fn put(
    document: &mut DocumentMut,
    runtime: &str,
    options: &[(String, Item)],
) -> Result<(), EditError> {
    let keys = keys(document)?;
    let table = table_at(document, ["plugins"].into_iter().chain(keys))?;
    let is_there = |ours: &Item| binary(ours) == Some(runtime);
    if table.get(NAME).is_some_and(is_there) {
        return Ok(());
    }
    let mut inner = Table::new();
    for (key, item) in options {
        inner.insert(key, item.clone());
    }
    inner.insert("BinaryName", value(runtime));
    let mut ours = Table::new();
    ours.insert("runtime_type", value("io.containerd.runc.v2"));
    ours.insert("options", Item::Table(inner));
    table.insert(NAME, Item::Table(ours));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: &str = "/usr/bin/plimsoll-runtime";

    const VERSION_2_FILE: &str = r#"version = 2 # of Debian

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni" # moved
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = true
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
"#;

    const OURS_2: &str = r#"[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.plimsoll]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.plimsoll.options]
"#;

    const NRI_ON: &str = "[plugins.\"io.containerd.nri.v1.nri\"]\n\
        disable = false # by plimsoll install\n";

    #[test]
    fn nri_is_switched_on_where_it_is_off_and_back_again() {
        let off = "[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n";
        let hardened = "[plugins.'io.containerd.nri.v1.nri']\ndisable_connections = true\n";
        for (version, section, is_switched) in [
            (2, "", true),
            (2, off, true),
            (2, hardened, true),
            (
                2,
                "[plugins.'io.containerd.nri.v1.nri']\ndisable = false\n",
                false,
            ),
            (3, "", false),
            (3, off, true),
            (4, hardened, false),
        ] {
            let before = format!("version = {version}\n{section}");
            let text = set(&before, RUNTIME).unwrap();
            let is_by_us = text.contains("disable = false # by plimsoll install");
            assert_eq!(is_by_us, is_switched, "{text}");
            assert!(!text.contains("disable = true"), "{text}");
            assert_eq!(set(&text, RUNTIME).unwrap(), text);
            let after = unset(&text).unwrap().unwrap_or_default();
            assert_eq!(after.contains("nri"), !section.is_empty(), "{after}");
            assert_eq!(after.contains("disable = true"), section == off, "{after}");
        }
    }

    #[test]
    fn a_file_beside_a_configuration_switches_nri_on_where_that_has_it_off() {
        let head = "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n";
        let off = format!("{head}[plugins.'io.containerd.nri.v1.nri']\ndisable = true\n");
        assert!(drop_in(&off, RUNTIME).unwrap().contains("disable = false"));
        assert!(!drop_in(head, RUNTIME).unwrap().contains("disable"));
    }

    #[test]
    fn what_is_there_stays_as_it_is_written_and_the_options_are_those_of_runc() {
        let text = set(VERSION_2_FILE, RUNTIME).unwrap();
        for line in VERSION_2_FILE.lines() {
            assert!(text.contains(line), "{line}");
        }
        assert!(text.contains(OURS_2), "{text}");
        assert!(text.contains("SystemdCgroup = true\nBinaryName = \"/usr/bin/plimsoll-runtime\""));
        assert_eq!(set(&text, RUNTIME).unwrap(), text);
    }

    #[test]
    fn a_file_that_is_not_there_is_made() {
        let text = set("", RUNTIME).unwrap();
        assert_eq!(
            text,
            format!("version = 2\n\n{OURS_2}BinaryName = \"{RUNTIME}\"\n\n{NRI_ON}")
        );
        assert_eq!(unset(&text), Ok(None));
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest_as_it_is_written() {
        let text = set(VERSION_2_FILE, RUNTIME).unwrap();
        assert_eq!(unset(&text).unwrap().unwrap(), VERSION_2_FILE);
        assert_eq!(unset(VERSION_2_FILE).unwrap().unwrap(), VERSION_2_FILE);
        assert_eq!(unset("version = 2\n").unwrap().unwrap(), "version = 2\n");
    }

    #[test]
    fn a_configuration_of_version_3_that_imports_gets_a_file_beside_it() {
        let text = "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n\
            [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n\
            SystemdCgroup = true\n";
        assert_eq!(runtime_table(text), Ok(RuntimeTable::DropIn));
        let beside = drop_in(text, RUNTIME).unwrap();
        let head = r#"[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.plimsoll"#;
        assert!(
            beside.starts_with(&format!("version = 3\n\n{head}]\n")),
            "{beside}"
        );
        assert!(beside.contains("SystemdCgroup = true"));
        assert_eq!(unset(&beside), Ok(None));
    }

    #[test]
    fn a_configuration_of_version_2_gets_no_file_beside_it_which_would_replace_it() {
        let text = "version = 2\nimports = [\"/etc/containerd/conf.d/*.toml\"]\n";
        assert_eq!(runtime_table(text), Ok(RuntimeTable::Configuration));
        assert_eq!(runtime_table(""), Ok(RuntimeTable::Configuration));
    }

    #[test]
    fn where_kubernetes_is_switched_off_there_is_nothing_to_set() {
        assert_eq!(
            runtime_table("disabled_plugins = [\"cri\"]\n"),
            Ok(RuntimeTable::Disabled)
        );
    }

    #[test]
    fn what_is_no_configuration_is_refused() {
        assert_eq!(set("root = \"/r\"\n", RUNTIME), Err(EditError::Version));
        assert!(matches!(
            set("version = ", RUNTIME),
            Err(EditError::Garbled(_))
        ));
        let strange = "version = 2\nplugins = 1\n";
        assert_eq!(set(strange, RUNTIME), Err(EditError::Misshapen("plugins")));
    }
}
