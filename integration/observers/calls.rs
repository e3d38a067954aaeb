//! Programs that ask by a system call, which still the kernel alone answers: `sched_getaffinity(2)`
//! for the CPUs, `sysinfo(2)` for memory and load. A change that answers for the kernel moves the
//! programs out of here.

use super::{
    outside,
    runtimes::JAVA,
    shell,
    tools::{collected, last},
};

/// A program prints in a container what another prints on the host.
fn still(program: &str, host: &str) {
    assert_eq!(
        shell(program),
        outside(host),
        "{program} is answered now: it belongs elsewhere"
    );
}

/// Expects the program to see the same as on the host.
fn not_yet(program: &str) {
    still(program, program);
}

/// A program prints the load of the last quarter of an hour.
fn load_is_not_yet(program: &str) {
    still_the_hosts(program, shell(program).trim().parse().unwrap());
}

/// The load of the last quarter of an hour in the container, which is idle, is the host's.
fn still_the_hosts(program: &str, load: f64) {
    let host: f64 = outside("cut -d' ' -f3 /proc/loadavg")
        .trim()
        .parse()
        .unwrap();
    assert!(
        (load - host).abs() < 0.3,
        "{program} is answered now: {load}, and {host} on the host"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn whoever_asks_for_the_affinity_still_counts_the_hosts_cpus() {
    not_yet("nproc");
    not_yet("busybox nproc");
    not_yet("/usr/bin/python3 -c 'import os; print(len(os.sched_getaffinity(0)))'");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn whoever_asks_sysinfo_still_finds_the_hosts_memory() {
    not_yet("getconf _PHYS_PAGES");
    not_yet("busybox free | awk '/^Mem/ { print $2 }'");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn whoever_asks_sysinfo_still_finds_the_hosts_load() {
    load_is_not_yet("busybox uptime | sed 's/.*, //'");
    load_is_not_yet("/usr/bin/python3 -c 'import os; print(os.getloadavg()[2])'");
}

#[test]
#[ignore = "needs root, /dev/fuse and 2 CPUs"]
fn all_possible_cpus_are_the_hosts_on_purpose() {
    not_yet("nproc --all");
    not_yet("getconf _NPROCESSORS_CONF");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and make"]
fn make_still_runs_as_many_jobs_as_nproc_counts() {
    not_yet("echo 'all:; @echo $(MAKEFLAGS)' | make -f - -j$(nproc) | grep -o -- '-j[0-9]*'");
}

/// Java without a look into its own cgroup, as the first versions in containers were.
#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and java"]
fn java_without_container_support_still_finds_the_host() {
    let old = format!("{JAVA} java -XX:-UseContainerSupport /tmp/Asked.java | cut -d' ' -f1-2");
    let host = "echo $(nproc) $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)";
    still(&old, host);
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, curl and prometheus-node-exporter"]
fn go_still_counts_the_hosts_cpus() {
    let metrics = "prometheus-node-exporter --runtime.gomaxprocs=0 --web.listen-address=127.0.0.1:9100 2>/dev/null & \
        curl -s --retry 30 --retry-delay 1 --retry-connrefused 127.0.0.1:9100/metrics | awk '/^go_sched_gomaxprocs/ { print $2 }'; kill $!";
    still(metrics, "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and ruby"]
fn ruby_still_counts_the_hosts_cpus() {
    not_yet("ruby -retc -e 'puts Etc.nprocessors'");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and gcc"]
fn openmp_still_starts_a_thread_for_each_cpu_of_the_host() {
    let script = "echo '#include <omp.h>\n#include <stdio.h>\n\
        int main(void) { printf(\"%d\\n\", omp_get_max_threads()); }' >/tmp/a.c && \
        gcc -fopenmp -o /tmp/a /tmp/a.c && /tmp/a";
    still(script, "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and /usr/lib/python3/dist-packages/threadpoolctl.py"]
fn openblas_below_numpy_still_starts_a_thread_for_each_cpu_of_the_host() {
    let script = "import numpy, threadpoolctl as t; print(t.threadpool_info()[0]['num_threads'])";
    still(&format!("/usr/bin/python3 -c \"{script}\""), "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and mariadbd"]
fn mariadb_still_makes_a_pool_for_the_hosts_cpus() {
    let asked = "mariadbd --no-defaults --verbose --help 2>/dev/null | awk '$1 == \"thread-pool-size\" { print $2 }'";
    still(asked, "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse and redis-server"]
fn redis_still_finds_the_hosts_memory() {
    let asked = "redis-server --port 0 --unixsocket /tmp/socket --daemonize yes >/dev/null; \
        for i in $(seq 100); do redis-cli -s /tmp/socket info memory 2>/dev/null | tr -d '\\r' | grep -o 'total_system_memory:.*' && break; sleep 0.1; done";
    let host = "awk '/^MemTotal/ { print \"total_system_memory:\" $2 * 1024 }' /proc/meminfo";
    still(asked, host);
}

#[test]
#[ignore = "needs root, /dev/fuse and stress-ng"]
fn stress_ng_still_finds_the_hosts_memory() {
    not_yet("stress-ng --cpu 1 --timeout 1 --verbose 2>&1 | grep -o 'RAM total: [^,]*'");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroup v2, 2 CPUs and ninja"]
fn ninja_on_cgroup_v2_still_builds_for_the_hosts_cpus() {
    not_yet("ninja --help 2>&1 | grep -o 'default=[0-9]* on this system'");
}

/// On cgroup v2 it looks into the cgroup by itself (libuv 1.49 and later).
#[test]
#[ignore = "needs root, /dev/fuse, cgroup v1, 2 CPUs and node"]
fn node_still_may_use_the_hosts_cpus() {
    not_yet("node -p 'os.availableParallelism()'");
}

#[test]
#[ignore = "needs root, /dev/fuse and php"]
fn php_still_finds_the_hosts_load() {
    load_is_not_yet("php -r 'echo sys_getloadavg()[2];'");
}

#[test]
#[ignore = "needs root, /dev/fuse and glances"]
fn glances_still_finds_the_hosts_load() {
    load_is_not_yet("glances --stdout load.min15 --stop-after 1 | tail -1 | sed 's/.*: //'");
}

#[test]
#[ignore = "needs root, /dev/fuse and collectd"]
fn collectd_still_finds_the_hosts_load() {
    still_the_hosts("collectd", last(&collected(), "/load "));
}
