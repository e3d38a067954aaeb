//! The packages name every crate that the program contains, with its licence.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use super::{check, source::root};
use crate::harness::stdout_of;

/// Writes the notices and the list of components of the crate in `manifest` to `directory`.
fn notices(manifest: &Path, directory: &Path) -> Output {
    let script = root().join("packaging/notices");
    let mut command = Command::new(script);
    command.arg("--manifest").arg(manifest).arg(directory);
    command.output().unwrap()
}

/// The crates, each as `NAME-VERSION`, whose sources the program under test names in its line tables and panics.
fn linked() -> BTreeSet<String> {
    let program = fs::read(env!("CARGO_BIN_EXE_plimsoll")).unwrap();
    let text = String::from_utf8_lossy(&program);
    let after = text.split("/registry/src/").skip(1);
    let names = after.filter_map(|path| path.split('/').nth(1));
    let is_name = |name: &&str| name.chars().all(|letter| letter.is_ascii_graphic());
    names.filter(is_name).map(str::to_owned).collect()
}

/// The crates in a list of components, each as `NAME VERSION`.
fn listed(sbom: &Value) -> BTreeSet<String> {
    let packages = sbom["packages"].as_array().unwrap().iter();
    let crates = packages.filter(|package| package["externalRefs"].is_array());
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let name = |package: &Value| word(&package["name"]) + " " + &word(&package["versionInfo"]);
    crates.map(name).collect()
}

/// The components without a licence under which the program contains them.
fn without_licence(sbom: &Value) -> Vec<String> {
    let packages = sbom["packages"].as_array().unwrap().iter();
    let is_lacking = |package: &&Value| {
        let licence = package["licenseConcluded"].as_str();
        licence.is_none_or(|licence| licence.is_empty() || licence == "NOASSERTION")
    };
    let lacking = packages.filter(is_lacking);
    lacking.map(|package| package["name"].to_string()).collect()
}

/// Writes a crate that depends on the crate `dependency`, whose Cargo.toml has `licence` too.
fn crate_with(directory: &Path, licence: &str) {
    let package = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n{rest}\n")
    };
    let dependency = directory.join("dependency");
    for source in [directory.join("src"), dependency.join("src")] {
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("lib.rs"), "").unwrap();
    }
    let dependent = "[dependencies]\ndependency = { path = \"dependency\" }\n";
    let lock = "version = 4\n\n[[package]]\nname = \"dependency\"\nversion = \"1.0.0\"\n\n\
                [[package]]\nname = \"root\"\nversion = \"1.0.0\"\ndependencies = [\"dependency\"]\n";
    fs::write(directory.join("Cargo.toml"), package("root", dependent)).unwrap();
    fs::write(directory.join("Cargo.lock"), lock).unwrap();
    fs::write(
        dependency.join("Cargo.toml"),
        package("dependency", licence),
    )
    .unwrap();
}

#[test]
fn every_crate_of_the_program_has_a_notice() {
    let directory = tempfile::tempdir().unwrap();
    stdout_of(&notices(&root().join("Cargo.toml"), directory.path()));
    let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
    let sbom = serde_json::from_str(&read("plimsoll.spdx.json")).unwrap();
    let (linked, listed) = (linked(), listed(&sbom));
    assert!(linked.len() > 40, "the program names only {linked:?}");

    let listed_files: BTreeSet<String> = listed.iter().map(|name| name.replace(' ', "-")).collect();
    let mut wrong: Vec<String> = linked.difference(&listed_files).cloned().collect();
    wrong.extend(without_licence(&sbom));
    // The names of the crates that share a text stand above the text, in lines of one width.
    let notices = read("THIRD-PARTY-NOTICES.txt");
    let (_, texts) = notices.split_once("\nTEXTS\n").unwrap();
    let texts = texts.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_named = |name: &&String| {
        [",", ":"]
            .iter()
            .any(|end| texts.contains(&format!("{name}{end}")))
    };
    wrong.extend(listed.iter().filter(|name| !is_named(name)).cloned());
    check(&wrong);
}

#[test]
fn a_crate_without_a_known_licence_or_its_text_gets_no_package() {
    let said = |licence: &str| {
        let directory = tempfile::tempdir().unwrap();
        crate_with(directory.path(), licence);
        let output = notices(
            &directory.path().join("Cargo.toml"),
            &directory.path().join("out"),
        );
        (!output.status.success()).then(|| String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(said("license = \"MIT\"\nauthors = [\"Somebody\"]"), None);
    assert_eq!(said("license = \"GPL-3.0-only OR Apache-2.0\""), None);
    for (licence, reason) in [
        ("", "has no SPDX expression"),
        ("license = \"GPL-3.0-only\"", "is under GPL-3.0-only"),
        ("license = \"MIT AND GPL-2.0-only\"", "is under MIT AND GPL"),
        ("license = \"BSD-3-Clause\"", "has no text of BSD-3-Clause"),
        ("license = \"MIT\"", "has no text of MIT"),
    ] {
        let said = said(licence).expect(licence);
        assert!(
            said.contains("dependency 1.0.0") && said.contains(reason),
            "{said}"
        );
    }
}
