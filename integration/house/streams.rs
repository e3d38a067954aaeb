//! One room writes to standard output and standard error, so that no message can carry a foreign
//! name to a terminal as it is.

use super::{
    check,
    source::Tree,
    uses::{Target, Uses},
};

/// The room that escapes what it prints.
const ROOM: &str = "base/output/";

/// The other files that name a stream, each with what the file does with the stream.
const WITHOUT_WRITES: [(&str, &str); 5] = [
    ("cli/run.rs", "asks whether the stream is a terminal"),
    ("inject/subprocess.rs", "replaces the stream"),
    (
        "run/process/console.rs",
        "passes on the bytes of a container's own terminal",
    ),
    ("run/process/streams.rs", "replaces the stream"),
    ("run/root/silent.rs", "looks up the stream's file"),
];

#[test]
fn one_room_prints() {
    let tree = Tree::read();
    let uses = Uses::of(&tree);
    let mut found = Vec::new();
    for source in &tree.sources {
        let is_known = |(path, _): &(&str, &str)| *path == source.path;
        if source.path.starts_with(ROOM) || WITHOUT_WRITES.iter().any(is_known) {
            continue;
        }
        for one in uses.by(source) {
            if let Target::External(path) = &one.target
                && path.iter().any(|word| word == "stdout" || word == "stderr")
            {
                found.push(format!("{} names {}", one.place(), one.written));
            }
        }
    }
    check(&found);
}
