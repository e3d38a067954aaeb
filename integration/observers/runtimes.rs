//! Languages, compilers and servers that size themselves by the machine.

use super::{inside, shell};

/// Writes a program for `java`, which prints processors, memory in MB and load.
pub(super) const JAVA: &str = "cat >/tmp/Asked.java <<'END'
public class Asked {
    public static void main(String[] words) {
        var machine = (com.sun.management.OperatingSystemMXBean)
            java.lang.management.ManagementFactory.getOperatingSystemMXBean();
        System.out.println(Runtime.getRuntime().availableProcessors() + \" \"
            + (machine.getTotalMemorySize() >> 20) + \" \" + machine.getSystemLoadAverage());
    }
}
END
";

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and java"]
fn java_finds_one_processor_and_the_containers_memory() {
    let text = shell(&format!("{JAVA} java /tmp/Asked.java"));
    assert!(text.starts_with("1 256 "), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, perl and a real CPU"]
fn perl_finds_one_processor_online() {
    let text = inside(&["perl", "-MPOSIX", "-e", "print POSIX::sysconf(84)"]);
    assert_eq!(text, "1");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and g++"]
fn a_program_in_cpp_has_one_hardware_thread() {
    let script = "echo '#include <cstdio>\n#include <thread>\n\
        int main() { std::printf(\"%u\", std::thread::hardware_concurrency()); }' >/tmp/a.cc && \
        g++ -o /tmp/a /tmp/a.cc && /tmp/a";
    assert_eq!(shell(script), "1");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, g++ and /usr/include/oneapi/tbb/info.h"]
fn tbb_uses_one_thread() {
    let script = "echo '#include <cstdio>\n#include <oneapi/tbb/info.h>\n\
        int main() { std::printf(\"%d\", tbb::info::default_concurrency()); }' >/tmp/a.cc && \
        g++ -o /tmp/a /tmp/a.cc -ltbb && /tmp/a";
    assert_eq!(shell(script), "1");
}

/// Rust reads the cgroup itself, and rounds a quota down.
#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and coreutils"]
fn rusts_available_parallelism_is_one() {
    assert_eq!(inside(&["coreutils", "nproc"]), "1\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and Rscript"]
fn r_detects_one_core() {
    let text = inside(&["Rscript", "-e", "cat(parallel::detectCores())"]);
    assert_eq!(text, "1");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and erl"]
fn erlang_finds_one_processor_online_and_schedules_on_one() {
    let asked = "io:format(\"~p ~p ~p\", [erlang:system_info(X) || \
        X <- [logical_processors_online, logical_processors_available, schedulers_online]]), halt().";
    assert_eq!(inside(&["erl", "-noshell", "-eval", asked]), "1 1 1");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, gcc and make"]
fn gcc_optimizes_at_link_time_in_one_process() {
    // gcc passes its count to make, or to the program that MAKE names.
    let script = "cd /tmp; echo 'int f(int x) { return x * x; }' >f.c; \
        echo 'int f(int); int main(int n, char **words) { return f(n) - 1; }' >a.c; \
        printf '#!/bin/sh\\necho \"$@\" >>said; exec make \"$@\"' >make; chmod +x make; \
        MAKE=/tmp/make gcc -O2 -flto=auto -flto-partition=max f.c a.c && ./a.out && grep -o -- '-j[0-9]*' said";
    assert_eq!(shell(script), "-j1\n");
}

/// ninja builds with one process more than there are processors. It reads the cgroup itself, but of v1 only.
#[test]
#[ignore = "needs root, /dev/fuse, cgroup v1, 2 CPUs and ninja"]
fn ninja_builds_for_one_processor() {
    let text = shell("ninja --help 2>&1 | grep -o 'default=[0-9]* on this system'");
    assert_eq!(text, "default=2 on this system\n");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, stress-ng and a real CPU"]
fn stress_ng_finds_one_processor_online() {
    let text = shell("stress-ng --cpu -1 --timeout 1 --verbose 2>&1");
    assert!(text.contains(" 1 processor online"), "{text}");
    assert!(text.contains("dispatching hogs: 1 cpu"), "{text}");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and nginx"]
fn nginx_starts_one_worker() {
    let script = "echo 'daemon off; pid /tmp/pid; error_log /dev/null; worker_processes auto; events {}' >/tmp/conf; \
        nginx -c /tmp/conf & for i in $(seq 100); do workers=$(ps -eo args | grep -c '^nginx: worker'); \
        [ $workers = 0 ] || break; sleep 0.1; done; sleep 1; ps -eo args | grep -c '^nginx: worker'; kill $!; wait";
    assert_eq!(shell(script), "1\n");
}

/// PostgreSQL has its size in its configuration, and `initdb` tries whether the size fits.
#[test]
#[ignore = "needs root, /dev/fuse and pg_ctlcluster"]
fn postgresql_fits_into_the_container() {
    let script = "install -d -o postgres /tmp/data; setpriv --reuid postgres --regid postgres --clear-groups \
        $(ls -d /usr/lib/postgresql/*/bin/initdb | tail -1) -N -D /tmp/data";
    let text = shell(script);
    assert!(text.contains(" ... 128MB"), "{text}");
    assert!(text.contains("Success."), "{text}");
}
