//! The answers of the system calls sysinfo and sched_getaffinity: the numbers of the files.

use super::{Captured, MACHINES};
use plimsoll::{
    base::units::{Bytes, CpuSet, Pid},
    view::{
        answer::{SYSTEM_CALLS, SystemCall},
        files::File,
    },
};
use proptest::{
    prelude::{ProptestConfig, Strategy, any, prop, prop_assert, prop_assert_eq, proptest},
    test_runner::TestCaseError,
};
use std::fs;

const PROCESS: Pid = Pid(220);

fn assert_sysinfo_agrees(captured: &Captured) -> Result<(), TestCaseError> {
    let sysinfo = captured.answers.sysinfo(&captured.container).unwrap();
    for (size, line) in [
        (sysinfo.total, "MemTotal"),
        (sysinfo.free, "MemFree"),
        (sysinfo.shared, "Shmem"),
        (sysinfo.buffers, "Buffers"),
        (sysinfo.swap_total, "SwapTotal"),
        (sysinfo.swap_free, "SwapFree"),
    ] {
        prop_assert_eq!(size, Bytes::from_kib(captured.kib(line)), "{}", line);
    }
    let up: u64 = captured
        .read(File::Uptime)
        .split('.')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    prop_assert!((up..=up + 1).contains(&sysinfo.seconds()));
    let load = captured.read(File::Loadavg);
    let mut words = load.split([' ', '/']);
    for hundredths in sysinfo.loads.hundredths() {
        let shown = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        prop_assert_eq!(words.next(), Some(shown.as_str()));
    }
    let tasks = sysinfo.tasks.to_string();
    prop_assert_eq!(words.nth(1), Some(tasks.as_str()));
    Ok(())
}

#[test]
fn on_every_machine_sysinfo_has_the_numbers_of_the_files() {
    for name in MACHINES {
        let captured = Captured::open(name);
        assert_sysinfo_agrees(&captured).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

/// A size, no limit, or a size near that of the machine.
fn limit() -> impl Strategy<Value = String> {
    let size = prop::option::of(0u64..1 << 33);
    size.prop_map(|size| size.map_or("max".to_owned(), |size| size.to_string()))
}

fn cpus() -> impl Strategy<Value = CpuSet> {
    let lists = ["0", "3", "0-1", "2-3", "1,3", "0-2", "0-3"];
    prop::sample::select(lists.to_vec()).prop_map(|list| CpuSet::parse(list).unwrap())
}

/// The files of a captured machine that decide about its memory and CPUs, with new texts.
fn state() -> impl Strategy<Value = Vec<(String, String)>> {
    let memory = ["memory.max", "memory.high", "memory.swap.max"];
    let used = ["memory.current", "memory.swap.current"];
    let level = |path: &'static str| {
        let limits = prop::collection::vec(limit(), memory.len());
        let sizes = prop::collection::vec(0u64..1 << 32, used.len());
        let quota = prop::option::of(1000u64..600_000);
        (limits, sizes, quota).prop_map(move |(limits, sizes, quota)| {
            let limits = memory.into_iter().zip(limits);
            let sizes = used.into_iter().zip(sizes.iter().map(u64::to_string));
            let quota = quota.map_or("max".to_owned(), |quota| quota.to_string());
            let quota = [("cpu.max", format!("{quota} 100000"))];
            let files = limits.chain(sizes).chain(quota);
            files
                .map(|(file, text)| (format!("sys/fs/cgroup/{path}/{file}"), text + "\n"))
                .collect::<Vec<_>>()
        })
    };
    let levels = (level("stage/pod/app"), level("stage/pod"), level("stage"));
    let effective = |cpus: CpuSet| {
        let file = "sys/fs/cgroup/stage/pod/app/cpuset.cpus.effective";
        (file.to_owned(), format!("{cpus}\n"))
    };
    (levels, cpus()).prop_map(move |((own, pod, stage), cpus)| {
        let files = own.into_iter().chain(pod).chain(stage);
        files.chain([effective(cpus)]).collect()
    })
}

#[test]
fn in_every_state_the_calls_agree_with_meminfo_and_cpu_online() {
    let captured = Captured::copy("v2-4cpu");
    let status = fs::read_to_string(captured.path.join("proc/220/status")).unwrap();
    let is_other = |line: &&str| !line.starts_with("Cpus_allowed_list:");
    let status: Vec<&str> = status.lines().filter(is_other).collect();
    let status = status.join("\n") + "\n";
    proptest!(ProptestConfig::with_cases(128), |(state in state(), allowed in cpus(), with_list in any::<bool>())| {
        for (file, text) in &state {
            captured.write(file, text);
        }
        assert_sysinfo_agrees(&captured)?;

        let online = CpuSet::parse(&captured.read(File::CpuOnline)).unwrap();
        let affinity = |pid| captured.answers.affinity(&captured.container, pid).unwrap();
        prop_assert_eq!(affinity(None), online.clone());
        let list = if with_list { format!("Cpus_allowed_list:\t{allowed}\n") } else { String::new() };
        captured.write("proc/220/status", &format!("{status}{list}"));
        let own = affinity(Some(PROCESS));
        let both = online.intersection(&allowed);
        let expected = match (with_list, both.is_empty()) {
            (false, _) => online,
            (true, true) => allowed,
            (true, false) => both,
        };
        prop_assert_eq!(own, expected);
    });
}

#[test]
fn every_field_is_explained_with_the_value_that_is_answered() {
    for name in MACHINES {
        let captured = Captured::open(name);
        let (answers, container) = (&captured.answers, &captured.container);
        for call in SYSTEM_CALLS {
            let answer = answers.render_call(call, container, None).unwrap();
            let answer = String::from_utf8(answer).unwrap();
            let explained = answers.explain_call(call, container, None).unwrap();
            assert_eq!(explained.len(), answer.lines().count());
            for (line, explained) in answer.lines().zip(explained) {
                let (field, value) = line.split_once(':').unwrap();
                assert_eq!(
                    (explained.name.as_str(), explained.value.as_str()),
                    (field, value.trim())
                );
                assert!(!explained.formula.is_empty());
            }
        }
    }
}

#[test]
fn the_memory_of_sysinfo_is_explained_by_the_level_that_decides() {
    let captured = Captured::open("big-128cpu");
    let explained = captured
        .answers
        .explain_call(SystemCall::Sysinfo, &captured.container, None)
        .unwrap();
    let total = explained.iter().find(|line| line.name == "totalram");
    let total = total.unwrap().decided_by.clone().unwrap();
    assert!(
        total.ends_with("pod7d0f.slice/cri-containerd-4b1c.scope"),
        "{total}"
    );
}

#[test]
fn the_affinity_of_a_process_is_explained_by_its_own_mask() {
    let captured = Captured::open("arm64-4cpu");
    let explained = captured
        .answers
        .explain_call(SystemCall::Affinity, &captured.container, Some(Pid(4321)))
        .unwrap();
    let input = &explained[0].inputs[0];
    assert_eq!(input.file, "/proc/4321/status");
    assert_eq!(input.key.as_deref(), Some("Cpus_allowed_list"));
    assert_eq!(input.value, "0-3");
}
