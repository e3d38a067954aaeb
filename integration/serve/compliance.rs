//! The promises that any implementation owes a container, tested by the mount alone.
//!
//! `UNDER_TEST=lxcfs` tests lxcfs (6.0.4 in Debian) instead. Each case names the known result of lxcfs and the
//! reason. With lxcfs a case passes if the result is the known one. `integration/lab/comply` runs both and prints
//! the table.

use crate::harness::{Cgroup, Daemon, field, is_v2, python, read_line, stat_columns, stdout_of};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

const MIB: u64 = 1 << 20;

/// The known result of lxcfs in a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lxcfs {
    Passes,
    Fails,
    FailsOnV2,
    /// The result differs from one run to the next.
    Varies,
}

/// Runs `judge` on the server under test. `why` is the reason of a failure of lxcfs.
#[expect(clippy::print_stdout, reason = "the table is made from these lines")]
fn case(name: &str, lxcfs: Lxcfs, why: &str, judge: impl FnOnce(&Daemon)) {
    let is_lxcfs = std::env::var_os("UNDER_TEST").is_some_and(|name| name == "lxcfs");
    let server = if is_lxcfs {
        Daemon::lxcfs()
    } else {
        Daemon::start()
    };
    let verdict = catch_unwind(AssertUnwindSafe(|| judge(&server)));
    let who = if is_lxcfs { "lxcfs" } else { "plimsoll" };
    let word = if verdict.is_ok() { "pass" } else { "fail" };
    println!("\ncompliance\t{name}\t{who}\t{word}\t{why}");
    match (is_lxcfs, verdict) {
        (false, Err(panic)) => resume_unwind(panic),
        (true, verdict) => {
            let known = match lxcfs {
                Lxcfs::Passes => false,
                Lxcfs::Fails => true,
                Lxcfs::FailsOnV2 => is_v2(),
                Lxcfs::Varies => return,
            };
            assert_eq!(
                verdict.is_err(),
                known,
                "the result of lxcfs is not the known one"
            );
        }
        (false, Ok(())) => {}
    }
}

macro_rules! cases {
    () => {};
    (#[ignore = $needs:literal] $name:ident, $lxcfs:expr, $why:literal, $judge:expr; $($rest:tt)*) => {
        #[test]
        #[ignore = $needs]

        fn $name() {
            case(stringify!($name), $lxcfs, $why, $judge);
        }
        cases! { $($rest)* }
    };
    ($name:ident, $lxcfs:expr, $why:literal, $judge:expr; $($rest:tt)*) => {
        cases! { #[ignore = "needs root and /dev/fuse"] $name, $lxcfs, $why, $judge; $($rest)* }
    };
}

/// Makes nested cgroups, the outermost first.
fn nest(depth: usize) -> Vec<Cgroup> {
    let mut levels = vec![Cgroup::new()];
    for _ in 1..depth {
        let next = levels.last().unwrap().child("deeper");
        levels.push(next);
    }
    levels
}

/// Drops the innermost cgroup first, because a cgroup with children cannot be removed.
fn drop_inside_out(mut levels: Vec<Cgroup>) {
    while levels.pop().is_some() {}
}

cases! {
    the_tightest_of_seven_limits_is_the_total, Lxcfs::Passes, "", |server| {
        let levels = nest(7);
        for (level, limit) in levels.iter().zip([700, 600, 90, 500, 400, 300, 200]) {
            level.limit_memory(limit * MIB);
        }
        let text = levels[6].stdout(server, "cat /proc/meminfo");
        assert_eq!(field(&text, "MemTotal"), 90 << 10);
        drop_inside_out(levels);
    };

    memory_of_a_sibling_is_not_free, Lxcfs::Fails, "it looks at the container's own use only", |server| {
        let parent = Cgroup::new();
        parent.limit_memory(200 * MIB);
        let (hungry, other) = (parent.child("hungry"), parent.child("other"));
        let hold = python("x = b'x' * (120 << 20)\nprint('held', flush=True)\nimport time\ntime.sleep(60)", "");
        let mut holding = hungry.shell(server, &hold).stdout(std::process::Stdio::piped()).spawn().unwrap();
        read_line(holding.stdout.as_mut().unwrap());
        let text = other.stdout(server, "cat /proc/meminfo");
        let _ = holding.kill();
        let _ = holding.wait();
        drop((hungry, other));
        assert!(field(&text, "MemAvailable") < 90 << 10, "{text}");
    };

    the_tightest_of_five_quotas_counts_the_cpus, Lxcfs::Fails, "it finds no quota above a cgroup that has none", |server| {
        let levels = nest(5);
        levels[1].limit_cpu(200);
        levels[3].limit_cpu(100);
        let text = levels[4].stdout(server, "grep -c ^processor /proc/cpuinfo; grep -c ^cpu[0-9] /proc/stat");
        assert_eq!(text, "1\n1\n");
        drop_inside_out(levels);
    };

    a_cpuset_shows_the_same_cpus_by_number_in_every_file, Lxcfs::Fails, "it renumbers cpuinfo from 0", |server| {
        let parent = Cgroup::new();
        parent.limit_cpus("1");
        let cgroup = parent.child("inner");
        let text = cgroup.stdout(server, "grep ^processor /proc/cpuinfo | tr -dc '0-9\n'; \
            grep -o '^cpu[0-9]*' /proc/stat | tail -1; cat /sys/devices/system/cpu/online; nproc");
        drop(cgroup);
        assert_eq!(text, "1\ncpu1\n1\n1\n");
    };

    the_directories_of_cpus_are_those_of_cpuinfo, Lxcfs::Fails, "it shows the host's directories", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_cpu(100);
        let text = cgroup.stdout(server, "ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l; cat /sys/devices/system/cpu/present");
        assert_eq!(text, "1\n0\n");
    };

    a_read_beyond_the_end_of_a_file_is_empty, Lxcfs::Fails, "it answers EINVAL", |server| {
        let script = "import os\nfd = os.open('/proc/meminfo', os.O_RDONLY)\nos.read(fd, 9999)\nprint(os.pread(fd, 100, 1 << 20))";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "b''\n");
    };

    the_middle_of_a_file_can_be_read_first, Lxcfs::Fails, "it has nothing before the start was read", |server| {
        let script = "import os\nwhole = open('/proc/cpuinfo', 'rb').read()\nfd = os.open('/proc/cpuinfo', os.O_RDONLY)\n\
            part = os.pread(fd, 40, 20)\nprint(part == whole[20:60])";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "True\n");
    };

    a_file_read_byte_by_byte_is_the_same, Lxcfs::Passes, "", |server| {
        let script = "whole = open('/proc/swaps', 'rb').read()\nf = open('/proc/swaps', 'rb', buffering=0)\n\
            print(b''.join(iter(lambda: f.read(1), b'')) == whole)";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "True\n");
    };

    a_kept_descriptor_shows_the_present_limit, Lxcfs::Passes, "", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(64 * MIB);
        let (name, directory) = if is_v2() { ("memory.max", "memory") } else { ("memory.limit_in_bytes", "memory") };
        let file = cgroup.directory(directory).join(name);
        let script = format!("import os\nfd = os.open('/proc/meminfo', os.O_RDONLY)\nprint(os.pread(fd, 30, 0).split()[1])\n\
            open('{}', 'w').write('{}')\nimport time; time.sleep(1.2)\nprint(os.pread(fd, 30, 0).split()[1])", file.display(), 128 * MIB);
        assert_eq!(cgroup.stdout(server, &python(&script, "")), "b'65536'\nb'131072'\n");
    };

    threads_on_one_descriptor_read_whole_files, Lxcfs::Varies, "its buffer is not locked: NULs and cut lines", |server| {
        let script = "import os, threading\nfd = os.open('/proc/meminfo', os.O_RDONLY)\nbad = []\n\
            def read():\n  for _ in range(1500):\n    text = os.pread(fd, 8192, 0)\n    \
            if b'\\0' in text or not text.startswith(b'MemTotal:') or not text.endswith(b'\\n'): bad.append(text)\n\
            threads = [threading.Thread(target=read) for _ in range(8)]\n[t.start() for t in threads]\n[t.join() for t in threads]\nprint(len(bad))";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "0\n");
    };

    swaps_that_are_read_again_end_in_a_newline, Lxcfs::Fails, "it takes the size of the content for that of the buffer", |server| {
        let script = "import os\nfd = os.open('/proc/swaps', os.O_RDONLY)\nos.pread(fd, 4096, 0)\nprint(os.pread(fd, 4096, 0)[-1:])";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "b'\\n'\n");
    };

    mapped_memory_counts_as_mapped, Lxcfs::FailsOnV2, "file_mapped is taken for file", |server| {
        let script = "import mmap, os\nos.chdir('/var/tmp')\nf = open('plimsoll-mapped', 'wb+')\nos.unlink('plimsoll-mapped')\nf.write(b'x' * (24 << 20))\nf.flush()\n\
            m = mmap.mmap(f.fileno(), 0)\nsum(m[::4096])\nimport time; time.sleep(3)\nprint(open('/proc/meminfo').read())";
        let cgroup = Cgroup::new();
        cgroup.limit_memory(128 * MIB);
        let text = cgroup.stdout(server, &python(script, ""));
        assert!(field(&text, "Mapped") > 16 << 10, "{text}");
    };

    no_line_of_meminfo_underflows_with_locked_shared_memory, Lxcfs::Fails, "anonymous memory is lists less shmem, which locked pages have left", |server| {
        let script = "import mmap, ctypes\nm = mmap.mmap(-1, 48 << 20)\nm.write(b'x' * (48 << 20))\n\
            ctypes.CDLL(None).mlockall(3)\nprint(open('/proc/meminfo').read())";
        let cgroup = Cgroup::new();
        cgroup.limit_memory(128 * MIB);
        let text = cgroup.stdout(server, &python(script, ""));
        let total = field(&text, "MemTotal");
        for line in text.lines().filter(|line| line.contains(':') && !line.starts_with("Vmalloc") && !line.starts_with("DirectMap")) {
            let amount: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            assert!(amount <= total.max(16 << 20), "{line}");
        }
    };

    an_init_with_spaces_and_parentheses_in_its_name_has_an_uptime, Lxcfs::Fails, "it reads the name up to a space", |server| {
        let script = "import ctypes, time\nctypes.CDLL(None).prctl(15, b'a (b) c', 0, 0, 0)\ntime.sleep(1.5)\nprint(open('/proc/uptime').read())";
        let name = format!("exec {}", python(script, ""));
        let text = Cgroup::new().stdout(server, &name);
        let up: f64 = text.split_whitespace().next().unwrap().parse().unwrap();
        assert!((0.5..60.0).contains(&up), "{text}");
    };

    an_idle_container_is_idle_while_the_host_is_busy, Lxcfs::FailsOnV2, "it shows the host's CPU time", |server| {
        let mut burner = std::process::Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap();
        let text = Cgroup::new().stdout(server, "head -1 /proc/stat; sleep 3; head -1 /proc/stat");
        let _ = burner.kill();
        let _ = burner.wait();
        let used = |line: &str| -> u64 { stat_columns(line)[..3].iter().sum() };
        let mut lines = text.lines();
        let (before, after) = (used(lines.next().unwrap()), used(lines.next().unwrap()));
        assert!(after - before < 60, "{text}");
    };

    slabinfo_is_for_root_alone_and_names_no_slab_of_the_host, Lxcfs::Fails, "it shows the host's, to everybody", |server| {
        let text = Cgroup::new().stdout(server, "wc -l < /proc/slabinfo; setpriv --reuid 65534 --clear-groups cat /proc/slabinfo 2>&1 | grep -c denied; true");
        assert_eq!(text, "2\n1\n");
    };

    diskstats_show_no_disk_that_the_container_did_not_use, Lxcfs::Fails, "it shows the host's", |server| {
        assert_eq!(Cgroup::new().stdout(server, "awk '$4 + $8 > 1000' /proc/diskstats | wc -l"), "0\n");
    };

    load_five_levels_down_is_load, Lxcfs::Fails, "it looks three levels down", |server| {
        let levels = nest(6);
        let deep = levels[5].join("$burner");
        let script = format!("(while :; do :; done) & burner=$!; {deep}cat /proc/loadavg >/dev/null; sleep 11; cut -d' ' -f1 /proc/loadavg; kill -9 $burner; wait");
        // A cgroup of v2 that enables controllers for its children takes no process.
        let init = levels[0].child("init.scope");
        let output = init.shell(server, &format!("set +e; {script}; true")).output().unwrap();
        drop(init);
        drop_inside_out(levels);
        let load: f64 = stdout_of(&output).lines().next().unwrap().parse().unwrap();
        assert!(load > 0.1, "{load}");
    };

    a_poll_of_a_file_returns_at_once, Lxcfs::Passes, "", |server| {
        let script = "import select\nf = open('/proc/meminfo')\np = select.poll()\np.register(f, select.POLLIN)\nprint(p.poll(5000)[0][1] & select.POLLIN)";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "1\n");
    };

    two_containers_that_copy_by_sendfile_see_their_own, Lxcfs::Fails, "the page cache of an inode is shared by all containers", |server| {
        let (small, large) = (Cgroup::new(), Cgroup::new());
        small.limit_memory(64 * MIB);
        large.limit_memory(128 * MIB);
        let script = "for i in $(seq 40); do busybox cat /proc/meminfo | head -1; done | sort | uniq -c | wc -l; busybox cat /proc/meminfo | head -1";
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| small.stdout(server, script));
            let second = large.stdout(server, script);
            (first.join().unwrap(), second)
        });
        assert!(first.starts_with("1\n") && first.contains(" 65536 kB"), "{first}");
        assert!(second.starts_with("1\n") && second.contains(" 131072 kB"), "{second}");
    };

    root_and_an_unprivileged_user_read_the_same, Lxcfs::Passes, "", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(64 * MIB);
        let text = cgroup.stdout(server, "for as in '' 'setpriv --reuid 65534 --clear-groups'; do $as grep MemTotal /proc/meminfo; $as cat /proc/cpuinfo | grep -c ^processor; done");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], lines[2..]);
    };

    nothing_can_be_written_and_the_size_covers_the_content, Lxcfs::Passes, "", |server| {
        let script = "import os\nfor name in 'meminfo', 'cpuinfo', 'stat', 'uptime', 'loadavg', 'swaps', 'diskstats':\n  path = '/proc/' + name\n  \
            assert os.stat(path).st_size + 64 >= len(open(path, 'rb').read()), path\n  \
            try:\n    os.write(os.open(path, os.O_WRONLY), b'x'); print(path)\n  except OSError: pass\nprint('well')";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "well\n");
    };

    threads_on_one_descriptor_read_whole_files_while_the_content_grows, Lxcfs::Varies, "it enlarges the buffer that others read", |server| {
        let script = "import os, threading, time\nfd = os.open('/proc/cpuinfo', os.O_RDONLY)\nbad, seen, end = [], set(), time.time() + 4\n\
            def read():\n  while time.time() < end:\n    text = os.pread(fd, 65536, 0)\n    seen.add(text.count(b'processor'))\n    \
            if b'\\0' in text or not text.startswith(b'processor') or not text.endswith(b'\\n'): bad.append(text)\n\
            threads = [threading.Thread(target=read) for _ in range(8)]\n[t.start() for t in threads]\n[t.join() for t in threads]\nprint(len(bad), sorted(seen))";
        let cgroup = Cgroup::new();
        cgroup.limit_cpus("0-1");
        let mut reading = cgroup.shell(server, &python(script, ""));
        let reading = reading.stdout(std::process::Stdio::piped()).spawn().unwrap();
        for round in 0..100 {
            std::thread::sleep(std::time::Duration::from_millis(50));
            cgroup.limit_cpus(["0", "0-1"][round % 2]);
        }
        assert_eq!(stdout_of(&reading.wait_with_output().unwrap()), "0 [1, 2]\n");
    };

    two_containers_that_splice_see_their_own, Lxcfs::Fails, "the page cache of an inode is shared by all containers", |server| {
        let (small, large) = (Cgroup::new(), Cgroup::new());
        small.limit_memory(64 * MIB);
        large.limit_memory(128 * MIB);
        let script = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\nsaid = set()\nfor _ in range(200):\n  \
            fd = os.open('/proc/meminfo', os.O_RDONLY)\n  r, w = os.pipe()\n  \
            n = libc.splice(fd, None, w, None, ctypes.c_size_t(4096), 0)\n  \
            text = os.read(r, 4096) if n > 0 else os.read(fd, 4096)\n  said.add(text.split()[1].decode())\n  \
            for d in (fd, r, w): os.close(d)\nprint(*said)";
        let (first, second) = std::thread::scope(|scope| {
            let first = scope.spawn(|| small.stdout(server, &python(script, "")));
            let second = large.stdout(server, &python(script, ""));
            (first.join().unwrap(), second)
        });
        assert_eq!((first.as_str(), second.as_str()), ("65536\n", "131072\n"));
    };

    the_cpus_of_five_nested_cpusets_are_those_of_the_innermost, Lxcfs::FailsOnV2, "it takes what was asked for, not what is effective", |server| {
        // Each cpuset asks for both CPUs. The second is then cut to one, and with it all below.
        let levels = nest(5);
        for level in &levels {
            level.limit_cpus("0-1");
        }
        for level in levels.iter().skip(1).rev() {
            // v1 refuses to take a CPU from a parent that a child still has.
            if !is_v2() || level.path() == levels[1].path() {
                level.limit_cpus("1");
            }
        }
        let text = levels[4].stdout(server, "cat /sys/devices/system/cpu/online; grep -c ^processor /proc/cpuinfo; grep -c ^cpu[0-9] /proc/stat; nproc");
        drop_inside_out(levels);
        assert_eq!(text, "1\n1\n1\n1\n");
    };

    a_read_at_any_offset_returns_the_bytes_there, Lxcfs::Fails, "it has nothing before the start was read, and EINVAL beyond the end", |server| {
        let script = "import os, random\nrandom.seed(7)\nfor name in 'cpuinfo', 'swaps', 'slabinfo':\n  path = '/proc/' + name\n  \
            whole = open(path, 'rb').read()\n  fd = os.open(path, os.O_RDONLY)\n  for _ in range(400):\n    \
            at, length = random.randrange(len(whole) * 2), random.randrange(1, 5000)\n    \
            assert os.pread(fd, length, at) == whole[at:at + length], (name, at, length)\nprint('well')";
        assert_eq!(Cgroup::new().stdout(server, &python(script, "")), "well\n");
    };

    #[ignore = "needs root, /dev/fuse, swap and a quiet machine"]
    swap_that_is_switched_on_after_the_start_shows, Lxcfs::Varies, "it looks for swap once, when it starts", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(64 * MIB);
        let total = || field(&cgroup.stdout(server, "cat /proc/meminfo"), "SwapTotal");
        let swaps = std::fs::read_to_string("/proc/swaps").unwrap();
        let area = swaps.lines().nth(1).unwrap().split(' ').next().unwrap();
        let switch = |how: &str| assert!(std::process::Command::new(how).arg(area).status().unwrap().success());
        switch("swapoff");
        let without = total();
        switch("swapon");
        assert_eq!((without, total() > 0), (0, true));
    };

    #[ignore = "needs root, /dev/fuse, cgroup v2 and swap"]
    swap_is_limited_by_the_tightest_level, Lxcfs::Varies, "it finds swap only if a cgroup at the top had the file when it started", |server| {
        let levels = nest(3);
        for (level, limit) in levels.iter().zip([48, 16, 32]) {
            level.limit_swap(limit * MIB);
        }
        let text = levels[2].stdout(server, "cat /proc/meminfo");
        let swaps = levels[2].stdout(server, "cat /proc/swaps");
        drop_inside_out(levels);
        assert_eq!((field(&text, "SwapTotal"), field(&text, "SwapFree")), (16 << 10, 16 << 10));
        assert!(swaps.lines().nth(1).unwrap().contains("16384"), "{swaps}");
    };

    #[ignore = "needs root, /dev/fuse and cgroup v2"]
    pressure_is_the_containers_own_and_its_trigger_fires, Lxcfs::Fails, "it serves none, so that the host's is there", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_cpu(20);
        let script = "import os, select, subprocess\nburner = subprocess.Popen(['sh', '-c', 'while :; do :; done'])\n\
            fd = os.open('/proc/pressure/cpu', os.O_RDWR)\nos.write(fd, b'some 50000 2000000')\np = select.poll()\np.register(fd, select.POLLPRI)\n\
            said = p.poll(20000)\nburner.kill()\nprint(bool(said) and bool(said[0][1] & select.POLLPRI), open('/proc/pressure/cpu').read().split('total=')[1].split()[0])";
        let text = cgroup.stdout(server, &python(script, ""));
        let file = cgroup.directory("cpu").join("cpu.pressure");
        let waited = std::fs::read_to_string(file).unwrap();
        let (fired, seen) = text.trim().split_once(' ').unwrap();
        let waited = waited.split("total=").nth(1).unwrap().split_whitespace().next().unwrap();
        // The container's own count in the kernel has grown since the read.
        assert!(seen.parse::<u64>().unwrap() <= waited.parse::<u64>().unwrap(), "{seen} of {waited}");
        assert_eq!(fired, "True");
    };

    a_mapped_file_shows_no_other_containers_numbers, Lxcfs::Varies, "", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(64 * MIB);
        let script = "import mmap, os\nfd = os.open('/proc/meminfo', os.O_RDONLY)\ntry:\n  m = mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)\n  \
            print(m[:30].split()[1].decode())\nexcept (OSError, ValueError): print('refused')";
        let output = cgroup.shell(server, &format!("set +e; {}; true", python(script, "").trim_end())).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(["refused\n", "65536\n"].contains(&said.as_str()), "{said}");
    };

    no_program_that_maps_a_file_is_killed, Lxcfs::Varies, "the page faults of a private mapping fail", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(64 * MIB);
        let script = "import glob, mmap, os\nfor path in ['/proc/' + name for name in 'meminfo cpuinfo stat uptime loadavg swaps vmstat diskstats'.split()] \
            + glob.glob('/proc/pressure/*') + ['/sys/devices/system/cpu/online', '/sys/devices/system/cpu/cpu0/topology/core_id']:\n  \
            fd = os.open(path, os.O_RDONLY)\n  for flags in mmap.MAP_PRIVATE, mmap.MAP_SHARED:\n    try: m = mmap.mmap(fd, os.fstat(fd).st_size, flags, mmap.PROT_READ)\n    \
            except (OSError, ValueError): continue\n    if len(m[:].splitlines()) != len(os.pread(fd, 1 << 20, 0).splitlines()): print(path, flags)\nprint('lives')";
        assert_eq!(cgroup.stdout(server, &python(script, "")), "lives\n");
    };

    the_parsers_of_procps_psutil_and_node_agree, Lxcfs::FailsOnV2, "the CPUs that node counts in stat are the host's", |server| {
        let cgroup = Cgroup::new();
        cgroup.limit_memory(256 * MIB);
        cgroup.limit_cpu(100);
        let text = cgroup.stdout(server, "free -m | awk '/^Mem/ { print $2 }'; /usr/bin/python3 -c 'import psutil as p; print(p.virtual_memory().total >> 20, p.cpu_count())'; \
            node -p 'const o = require(`os`); [o.totalmem() / 1048576 | 0, o.cpus().length].join(` `)'; top -bn1 | grep -c 'MiB Mem :    256.0 total'; vmstat -s -S K | awk '/total memory/ { print $1 }'");
        assert_eq!(text, "256\n256 1\n256 1\n1\n262144\n");
    };

    a_process_that_joins_no_limit_sees_no_more_than_the_machine, Lxcfs::Passes, "", |server| {
        let text = Cgroup::new().stdout(server, "cat /proc/meminfo");
        assert!(field(&text, "MemFree") <= field(&text, "MemTotal"), "{text}");
        assert!(field(&text, "MemAvailable") <= field(&text, "MemTotal"), "{text}");
    };
}
