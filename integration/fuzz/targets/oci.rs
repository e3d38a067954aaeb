//! What a runtime or an engine hands over, and notes. An edited configuration keeps what is not ours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plimsoll::base::config::LeaveOut;
use plimsoll::inject::leave_out::LeaveOutRules;
use plimsoll::{
    base::units::Clocks,
    inject::{
        hook::OciState,
        notes::{AttachedNote, PendingNote},
        oci::{Call, Outline, add_clocks, add_hook, supports_time_namespace},
    },
};
use std::{ffi::OsString, fs, os::unix::ffi::OsStringExt, sync::LazyLock};
use tempfile::TempDir;

const CLOCKS: Clocks = Clocks {
    monotonic: 1,
    boottime: 2,
};

static BUNDLE: LazyLock<TempDir> = LazyLock::new(|| TempDir::new_in("/dev/shm").unwrap());

fuzz_target!(|bytes: &[u8]| {
    let _ = OciState::read(bytes).map(|state| state.is_restored());
    let _ = serde_json::from_slice::<PendingNote>(bytes);
    let _ = serde_json::from_slice::<AttachedNote>(bytes);
    let _ = supports_time_namespace(&String::from_utf8_lossy(bytes));
    let words = bytes.split(|byte| *byte == 0);
    let words: Vec<OsString> = words.map(|word| OsString::from_vec(word.to_vec())).collect();
    let _ = Call::parse(&words);
    edit(bytes);
    let bundle = BUNDLE.path();
    fs::write(bundle.join("config.json"), bytes).unwrap();
    let state = format!(r#"{{"id":"a","bundle":{bundle:?}}}"#);
    // Without rules the annotations of a container leave it out all the same.
    let rules = LeaveOutRules::new(LeaveOut::default());
    let _ = OciState::read(state.as_bytes()).unwrap().stage(&rules);
});

/// Edits a configuration as the wrapper does.
fn edit(bytes: &[u8]) {
    let Ok(mut outline) = Outline::parse(bytes) else {
        return;
    };
    let added = add_hook(&mut outline.parts, "/usr/bin/plimsoll");
    let _ = add_clocks(&mut outline.parts, CLOCKS);
    let text = outline.text();
    let mut again = Outline::parse(text.as_bytes()).expect("an edited configuration is one");
    if added.is_ok() {
        assert_eq!(add_hook(&mut again.parts, "/usr/bin/plimsoll").ok(), Some(false));
    }
    assert_eq!(again.text(), text);
}
