//! The plugin and a runtime that is new, old, wrong, slow, or not there.

use super::{
    Plugin, command,
    runtime::{FakeRuntime, Field, StartCall, inner, packed, send_start, text},
};
use crate::harness::{only_line, wait_until};
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// A mount point at which no daemon serves.
fn no_view() -> PathBuf {
    PathBuf::from("/nowhere/plimsoll-nri")
}

#[test]
#[ignore = "needs root"]
fn a_plugin_registers_by_its_name_and_asks_for_starts_alone() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.accept();
    let (stream, arguments) = peer.registration();
    assert_eq!(arguments, [text(1, "plimsoll"), text(2, "90")]);
    // A runtime may introduce itself before it answers the registration.
    let answer = peer.configure();
    assert_eq!(answer, packed(&[Field::Number(2, 0x20)]));
    peer.accept_registration(stream);
    assert_eq!(peer.call("Synchronize", &[]), b"");
}

#[test]
#[ignore = "needs root"]
fn every_call_of_an_old_and_a_new_runtime_is_answered_with_success() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.registered();
    for method in [
        "Shutdown",
        "RunPodSandbox",
        "UpdatePodSandbox",
        "PostUpdatePodSandbox",
        "StopPodSandbox",
        "RemovePodSandbox",
        "CreateContainer",
        "PostCreateContainer",
        "StartContainer",
        "PostStartContainer",
        "UpdateContainer",
        "PostUpdateContainer",
        "StopContainer",
        "RemoveContainer",
        "StateChange",
        "ValidateContainerAdjustment",
        "CallOfALaterVersion",
        "",
    ] {
        for payload in [&b""[..], b"\x0b", b"\xff\xff\xff", &[0x0a; 9000]] {
            assert_eq!(peer.call(method, payload), b"", "{method}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_start_of_a_process_that_is_not_there_is_answered_with_success() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.registered();
    for call in [StartCall::StateChange, StartCall::Dedicated] {
        for pid in [0, 1, 4_194_305, u64::from(u32::MAX), u64::MAX] {
            let container = [text(1, "gone"), Field::Number(12, pid)];
            let stream = send_start(&mut peer, call, &[], &container);
            assert_eq!(peer.answer(stream), b"", "{pid}");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_list_in_parts_is_asked_for_part_by_part() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.accept();
    let stream = peer.registration().0;
    peer.accept_registration(stream);
    peer.configure();
    let container = |pid| inner(2, &[text(1, "c"), Field::Number(12, pid)]);
    let more = Field::Number(3, 1);
    let first = packed(&[inner(1, &[text(1, "p")]), container(4_194_305), more]);
    let go_on = packed(&[Field::Number(2, 1)]);
    assert_eq!(peer.call("Synchronize", &first), go_on);
    // A part that is larger than any buffer of the plugin.
    let large = vec![container(4_194_305); 100_000 / 20];
    let large = packed(&[&large[..], &[Field::Number(3, 1)]].concat());
    assert_eq!(peer.call("Synchronize", &large), go_on);
    assert_eq!(peer.call("Synchronize", &[]), b"");
    assert_eq!(peer.call("Shutdown", &[]), b"");
}

#[test]
#[ignore = "needs root"]
fn a_plugin_whose_answer_to_the_first_list_may_have_been_late_registers_once_more_and_then_stays() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    let slow = || {
        let mut peer = runtime.accept();
        let stream = peer.registration().0;
        peer.accept_registration(stream);
        peer.configure();
        // More than half of the timeout of a request.
        thread::sleep(Duration::from_millis(1100));
        assert_eq!(peer.call("Synchronize", &[]), b"");
        peer
    };
    assert!(slow().is_closed());
    let mut peer = slow();
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(peer.call("Synchronize", &[]), b"");
    assert_eq!(peer.call("Shutdown", &[]), b"");
}

#[test]
#[ignore = "needs root"]
fn a_plugin_leaves_a_runtime_that_speaks_no_nri_and_registers_again() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    let frame = |length: u32, payload: &[u8]| {
        let header = [1_u32.to_be_bytes(), length.to_be_bytes()].concat();
        [header, payload.to_vec()].concat()
    };
    let long_message = [&(5_u32 << 20).to_be_bytes()[..], &[0, 0, 0, 1, 1, 0]].concat();
    for garbage in [
        vec![0xff; 64],
        frame(5 << 20, b""),
        frame(10, &long_message),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
    ] {
        let mut peer = runtime.accept();
        peer.registration();
        peer.send_raw(&garbage);
        assert!(peer.is_closed(), "{garbage:?}");
    }
    runtime.registered();
}

#[test]
#[ignore = "needs root"]
fn a_plugin_registers_again_with_a_runtime_that_closes_at_any_moment() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    // Before the registration, and after it was refused.
    drop(runtime.accept());
    let mut peer = runtime.accept();
    let stream = peer.registration().0;
    peer.refuse_registration(stream);
    assert!(peer.is_closed());
    // In the middle of a header, of a message, and of a call.
    for bytes in [&b"\0\0\0"[..], b"\0\0\0\x01\0\0\0\x20\0\0\0\x30"] {
        let mut peer = runtime.registered();
        peer.send_raw(bytes);
    }
    let mut peer = runtime.registered();
    peer.send_call("StartContainer", &[]);
    drop(peer);
    runtime.registered();
}

#[test]
#[ignore = "needs root"]
fn calls_in_a_wrong_order_and_unknown_connections_do_not_disturb_a_plugin() {
    let runtime = FakeRuntime::new();
    let _plugin = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.accept();
    let stream = peer.registration().0;
    assert_eq!(peer.call("StartContainer", &[]), b"");
    assert_eq!(peer.call("Synchronize", &[]), b"");
    // A frame of an unknown connection, an empty frame, a response, and a part of a stream.
    peer.send_raw(b"\0\0\0\x07\0\0\0\x02ab\0\0\0\x01\0\0\0\0");
    for kind in [2, 3, 99] {
        let message = [0, 0, 0, 0, 0, 0, 0, 9, kind, 0];
        peer.send_raw(&[b"\0\0\0\x01\0\0\0\x0a", &message[..]].concat());
    }
    peer.configure();
    peer.accept_registration(stream);
    assert_eq!(peer.call("Synchronize", &[]), b"");
}

#[test]
#[ignore = "needs root"]
fn a_second_plugin_on_one_socket_ends_with_one_line() {
    let runtime = FakeRuntime::new();
    let first = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.registered();
    let output = command(&runtime.socket(), &no_view()).output().unwrap();
    let line = only_line("a second plugin", &output, 125, &output.stderr);
    assert!(line.contains(&format!("(pid {})", first.pid())), "{line}");
    assert_eq!(peer.call("Shutdown", &[]), b"");
}

#[test]
#[ignore = "needs root"]
fn a_plugin_waits_for_a_runtime_that_is_not_there_yet() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("nri.sock");
    // A file that is no socket stands for a runtime that has not started.
    fs::write(&socket, "").unwrap();
    let runtime = FakeRuntime::new();
    let mut plugin = Plugin::on(socket.clone(), &no_view(), &[]);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(plugin.process.try_wait().unwrap(), None);
    fs::remove_file(&socket).unwrap();
    std::os::unix::fs::symlink(runtime.socket(), &socket).unwrap();
    runtime.registered();
    assert!(plugin.end().success());
}

#[test]
#[ignore = "needs root"]
fn a_plugin_that_is_told_to_end_closes_the_connection_and_lets_the_next_one_register() {
    let runtime = FakeRuntime::new();
    let mut plugin = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.registered();
    assert_eq!(plugin.end().code(), Some(0));
    assert!(peer.is_closed());
    let _next = Plugin::start(&runtime, &no_view());
    runtime.registered();
}

#[test]
#[ignore = "needs root"]
fn a_plugin_with_nothing_to_do_never_wakes_and_is_small() {
    let runtime = FakeRuntime::new();
    let plugin = Plugin::start(&runtime, &no_view());
    let mut peer = runtime.registered();
    assert_eq!(peer.call("Shutdown", &[]), b"");
    let status = || fs::read_to_string(format!("/proc/{}/status", plugin.pid())).unwrap();
    // The job of the empty list ends.
    let children = format!("/proc/{0}/task/{0}/children", plugin.pid());
    wait_until("no job is left", || {
        fs::read_to_string(Path::new(&children)).unwrap().is_empty()
    });
    thread::sleep(Duration::from_millis(200));
    let (before, after) = (status(), {
        thread::sleep(Duration::from_secs(3));
        status()
    });
    let value = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse::<u64>().unwrap()
    };
    for name in ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"] {
        assert_eq!(value(&before, name), value(&after, name), "{name}");
    }
    // The memory of its own, without the program's file.
    assert!(value(&after, "RssAnon") < 10 << 10, "{after}");
    assert_eq!(value(&after, "Threads"), 1);
}
