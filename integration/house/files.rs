//! Every file says what it is, and only one room has unsafe code.

use super::{
    check,
    source::{Tree, root, rust_files},
    uses::Uses,
};

#[test]
fn unsafe_code_is_in_sys_only() {
    let tree = Tree::read();
    let uses = Uses::of(&tree);
    let mut findings = Vec::new();
    for source in &tree.sources {
        if !source.path.starts_with("base/sys/") {
            for line in &uses.scopes[source.module.as_str()].unsafe_lines {
                findings.push(format!("src/{}:{line} has unsafe code", source.path));
            }
        }
    }
    check(&findings);
}

#[test]
fn a_file_says_in_its_first_line_what_it_is() {
    let mut findings = Vec::new();
    for dir in ["src", "integration", "benches"] {
        for path in rust_files(&root().join(dir)) {
            let text = std::fs::read_to_string(&path).unwrap();
            if !text.starts_with("//! ") {
                let path = path.strip_prefix(root()).unwrap().display();
                findings.push(format!("{path}:1 does not say what the file is"));
            }
        }
    }
    check(&findings);
}
