//! Programs that ask by a system call, which the kernel alone answers: `sched_getaffinity(2)` for the CPUs,
//! `sysinfo(2)` for memory and load. A change that answers these calls moves the programs to another file.

use super::{
    outside,
    runtimes::JAVA,
    shell,
    tools::{collect, last},
};

/// Asserts that a program prints in a container what another program prints on the host.
fn assert_like_host(program: &str, host: &str) {
    assert_eq!(
        shell(program),
        outside(host),
        "{program} shows the container now: its test belongs to another file"
    );
}

/// Asserts that a program prints the same in a container and on the host.
fn assert_same(program: &str) {
    assert_like_host(program, program);
}

/// Asserts that a program in a container prints the host's load of the last 15 minutes.
fn assert_prints_host_load(program: &str) {
    assert_host_load(program, shell(program).trim().parse().unwrap());
}

/// Asserts that this load of the last 15 minutes is the host's. The container is idle.
fn assert_host_load(program: &str, load: f64) {
    let host: f64 = outside("cut -d' ' -f3 /proc/loadavg")
        .trim()
        .parse()
        .unwrap();
    assert!(
        (load - host).abs() < 0.3,
        "{program} shows the load of the container now: {load}, and {host} on the host"
    );
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn programs_that_ask_for_the_affinity_still_count_the_hosts_cpus() {
    assert_same("nproc");
    assert_same("busybox nproc");
    assert_same("/usr/bin/python3 -c 'import os; print(len(os.sched_getaffinity(0)))'");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn programs_that_ask_sysinfo_still_find_the_hosts_memory() {
    assert_same("getconf _PHYS_PAGES");
    assert_same("busybox free | awk '/^Mem/ { print $2 }'");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn programs_that_ask_sysinfo_still_find_the_hosts_load() {
    assert_prints_host_load("busybox uptime | sed 's/.*, //'");
    assert_prints_host_load("/usr/bin/python3 -c 'import os; print(os.getloadavg()[2])'");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and a real CPU"]
fn all_possible_cpus_are_the_hosts_on_purpose() {
    assert_same("nproc --all");
    assert_same("getconf _NPROCESSORS_CONF");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, make and a real CPU"]
fn make_still_runs_as_many_jobs_as_nproc_counts() {
    assert_same("echo 'all:; @echo $(MAKEFLAGS)' | make -f - -j$(nproc) | grep -o -- '-j[0-9]*'");
}

/// A JVM without container support does not read its cgroup.
#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and java"]
fn java_without_container_support_still_finds_the_host() {
    let old = format!("{JAVA} java -XX:-UseContainerSupport /tmp/Asked.java | cut -d' ' -f1-2");
    let host = "echo $(nproc) $(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)";
    assert_like_host(&old, host);
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, curl and prometheus-node-exporter"]
fn go_still_counts_the_hosts_cpus() {
    let metrics = "prometheus-node-exporter --runtime.gomaxprocs=0 --web.listen-address=127.0.0.1:9100 2>/dev/null & \
        curl -s --retry 30 --retry-delay 1 --retry-connrefused 127.0.0.1:9100/metrics | awk '/^go_sched_gomaxprocs/ { print $2 }'; kill $!";
    assert_like_host(metrics, "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and ruby"]
fn ruby_still_counts_the_hosts_cpus() {
    assert_same("ruby -retc -e 'puts Etc.nprocessors'");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and gcc"]
fn openmp_still_starts_a_thread_for_each_cpu_of_the_host() {
    let script = "echo '#include <omp.h>\n#include <stdio.h>\n\
        int main(void) { printf(\"%d\\n\", omp_get_max_threads()); }' >/tmp/a.c && \
        gcc -fopenmp -o /tmp/a /tmp/a.c && /tmp/a";
    assert_like_host(script, "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs, /usr/lib/python3/dist-packages/threadpoolctl.py and a real CPU"]
fn openblas_below_numpy_still_starts_a_thread_for_each_cpu_of_the_host() {
    let script = "import numpy, threadpoolctl as t; print(t.threadpool_info()[0]['num_threads'])";
    assert_like_host(&format!("/usr/bin/python3 -c \"{script}\""), "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse, 2 CPUs and mariadbd"]
fn mariadb_still_makes_a_pool_for_the_hosts_cpus() {
    let asked = "mariadbd --no-defaults --verbose --help 2>/dev/null | awk '$1 == \"thread-pool-size\" { print $2 }'";
    assert_like_host(asked, "nproc");
}

#[test]
#[ignore = "needs root, /dev/fuse and redis-server"]
fn redis_still_finds_the_hosts_memory() {
    let asked = "redis-server --port 0 --unixsocket /tmp/socket --daemonize yes >/dev/null; \
        for i in $(seq 100); do redis-cli -s /tmp/socket info memory 2>/dev/null | tr -d '\\r' | grep -o 'total_system_memory:.*' && break; sleep 0.1; done";
    let host = "awk '/^MemTotal/ { print \"total_system_memory:\" $2 * 1024 }' /proc/meminfo";
    assert_like_host(asked, host);
}

#[test]
#[ignore = "needs root, /dev/fuse, stress-ng and a real CPU"]
fn stress_ng_still_finds_the_hosts_memory() {
    assert_same("stress-ng --cpu 1 --timeout 1 --verbose 2>&1 | grep -o 'RAM total: [^,]*'");
}

#[test]
#[ignore = "needs root, /dev/fuse, cgroup v2, 2 CPUs and ninja"]
fn ninja_on_cgroup_v2_still_builds_for_the_hosts_cpus() {
    assert_same("ninja --help 2>&1 | grep -o 'default=[0-9]* on this system'");
}

/// On cgroup v2 libuv 1.49 and later reads the cgroup itself.
#[test]
#[ignore = "needs root, /dev/fuse, cgroup v1, 2 CPUs, node and a real CPU"]
fn node_still_counts_the_hosts_cpus_as_available() {
    assert_same("node -p 'os.availableParallelism()'");
}

#[test]
#[ignore = "needs root, /dev/fuse and php"]
fn php_still_finds_the_hosts_load() {
    assert_prints_host_load("php -r 'echo sys_getloadavg()[2];'");
}

#[test]
#[ignore = "needs root, /dev/fuse and glances"]
fn glances_still_finds_the_hosts_load() {
    assert_prints_host_load(
        "glances --stdout load.min15 --stop-after 1 | tail -1 | sed 's/.*: //'",
    );
}

#[test]
#[ignore = "needs root, /dev/fuse and collectd"]
fn collectd_still_finds_the_hosts_load() {
    assert_host_load("collectd", last(&collect(), "/load "));
}
