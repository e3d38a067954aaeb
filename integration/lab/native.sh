#!/bin/bash
# native.sh - runs a command in a Debian tree on THIS kernel (no virtual machine): real lxcfs, crun,
#             runc, podman, containerd, docker, LXC and incus against the host's own cgroups.
#
#   native.sh run [OPTIONS] -- CMD [ARG..] run CMD in the tree, exit with the exit status of CMD
#   native.sh build                        build the cached Debian tree (run does this too)
#   native.sh clean                        remove the cache
#
# OPTIONS
#   --share DIR[:DIR2]   host directory to show in the tree (default name: the same); may be repeated.
#                        The tree always shows the current directory.
#   --cwd DIR            working directory (default: the current one)
#   --host-network       stay in the host's network (default: a network of its own with lo, a
#                        bridge br0 = 10.99.1.1/24 and a default route)
#   --keep-hybrid        keep a cgroup2 mount beside cgroup v1 controllers. The default is to unmount
#                        the v2 mount in the private mount namespace, because crun refuses hybrid mode when
#                        the v2 hierarchy holds a controller.
#
# EXIT STATUS: CMD's own; 125 the tree could not be built or entered.
#
# ENVIRONMENT: NATIVE_CACHE (default ${XDG_CACHE_HOME:-$HOME/.cache}/native-harness), NATIVE_SUITE
#   (trixie, bookworm or forky), NATIVE_PACKAGES (more packages), NATIVE_MIRROR.
#
# NEEDS on the host: root, x86_64, mmdebstrap, unshare. CMD runs as root in private mount, PID, IPC,
# UTS (and network) namespaces whose root is the tree. When CMD ends, the kernel kills every process of CMD
# and drops every mount. Files written to the tree stay, except in /run and /tmp. The script removes cgroups
# that engines leave behind and that did not exist before. lxcfs 6 needs the private PID namespace: it reads
# /proc/1/personality, which a protected PID 1 does not allow.
set -euo pipefail
SELF=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$(basename "${BASH_SOURCE[0]}")
# shellcheck source=integration/lab/mirror.sh
. "$(dirname "$SELF")/mirror.sh"
: "${NATIVE_MIRROR:=}" "${NATIVE_CACHE:=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/native-harness}"
: "${NATIVE_SUITE:=trixie}" "${NATIVE_PACKAGES:=}"
PACKAGES=(kmod iproute2 iptables nftables procps util-linux fuse3 busybox-static python3-minimal jq strace
  crun runc conmon podman netavark aardvark-dns containernetworking-plugins containerd docker.io lxc lxcfs ca-certificates python3-psutil nodejs)
[ "$NATIVE_SUITE" = bookworm ] || PACKAGES+=(docker-cli incus-base)
die() { echo "native.sh: $*" >&2; exit 125; }

build() {
  TREE=$NATIVE_CACHE/$NATIVE_SUITE-$(echo "${PACKAGES[*]} $NATIVE_PACKAGES" | sha256sum | cut -c1-12)
  [ -e "$TREE.done" ] && return
  [ "$(id -u)" = 0 ] || die "must be root"
  command -v mmdebstrap >/dev/null || die "needs mmdebstrap: apt-get install -y mmdebstrap"
  : "${NATIVE_MIRROR:=$(default_mirror NATIVE_MIRROR)}"
  [ -n "$NATIVE_MIRROR" ] || exit 125
  mkdir -p "$NATIVE_CACHE"; exec 9>"$NATIVE_CACHE/lock"; flock 9
  if [ ! -e "$TREE.done" ]; then
    echo "native.sh: building the Debian tree: once, about 45 s" >&2; rm -rf --one-file-system "$TREE"
    case $NATIVE_SUITE in
      bookworm | trixie) printf 'deb %s %s main\ndeb %s-security %s-security main\n' "$NATIVE_MIRROR" "$NATIVE_SUITE" "$NATIVE_MIRROR" "$NATIVE_SUITE" ;;
      # A suite that is no release yet has no security updates, and a mirror that is not synced has an old list.
      *) printf 'deb [check-valid-until=no] %s %s main\n' "$NATIVE_MIRROR" "$NATIVE_SUITE" ;;
    esac |
    mmdebstrap --mode=root --variant=minbase --architectures=amd64 --aptopt='Apt::Install-Recommends "false"' \
      --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/gocode/*' \
    --essential-hook='mkdir -p "$1/usr/share/man/man1"' \
      --include="$(IFS=,; echo "${PACKAGES[*]}${NATIVE_PACKAGES:+,${NATIVE_PACKAGES// /,}}")" "$NATIVE_SUITE" "$TREE" - \
      >"$NATIVE_CACHE/build.log" 2>&1 || { grep -a '^E:' "$NATIVE_CACHE/build.log" | tail -3 >&2 || true; die "could not build the tree (is $NATIVE_MIRROR reachable? log: $NATIVE_CACHE/build.log)"; }
    # The tree has no systemd: engines manage cgroups themselves.
    mkdir -p "$TREE/etc/containers" "$TREE/etc/docker"
    printf '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n' > "$TREE/etc/containers/containers.conf"
    printf '{"exec-opts": ["native.cgroupdriver=cgroupfs"]%s}\n' \
      "$([ "$NATIVE_SUITE" = bookworm ] || echo ', "features": {"cdi": true}')" > "$TREE/etc/docker/daemon.json"
    touch "$TREE.done"
  fi
  flock -u 9; exec 9>&-
}

inside() { # TREE CWD HYBRID NETWORK SHARES -- CMD..   (PID 1 of the private namespaces)
  local tree=$1 cwd=$2 hybrid=$3 net=$4 shares=$5 src dst rc=0; shift 6
  mount -t proc proc /proc
  mount --bind "$tree" "$tree"; mount --rbind /dev "$tree/dev"; mount -t proc proc "$tree/proc"
  if [ "$net" = own ]; then mount -t sysfs sysfs "$tree/sys"; mount --rbind /sys/fs/cgroup "$tree/sys/fs/cgroup"; else mount --rbind /sys "$tree/sys"; fi
  mount -t tmpfs -o mode=755 tmpfs "$tree/run"; mount -t tmpfs -o mode=1777 tmpfs "$tree/tmp"
  if [ "$hybrid" = no ] && ! grep -qE ' /sys/fs/cgroup cgroup2 ' /proc/mounts; then
    awk '$3=="cgroup2"{print $2}' /proc/mounts | while read -r m; do case $m in "$tree"/*) umount "$m" ;; esac; done
  fi
  while IFS=: read -r src dst; do mkdir -p "$tree$dst"; mount --rbind "$src" "$tree$dst"; done <<<"$shares"
  mkdir -p "$tree/.old"; cd "$tree"; pivot_root . .old; umount -l /.old
  mount --make-rshared /
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TMPDIR=/tmp
  printf '127.0.0.1 localhost %s\n10.99.1.1 n1\n' "$(hostname)" > /etc/hosts
  if [ "$net" = own ]; then
    : > /etc/resolv.conf; ip link set lo up
    ip link add br0 type bridge; ip addr add 10.99.1.1/24 dev br0
    ip link add br0p type veth peer name br0q; ip link set br0p master br0 up; ip link set br0q up   # carrier
    ip link set br0 up; ip route add default via 10.99.1.254 dev br0
  fi
  cd "$cwd"; "$@" || rc=$?
  exit $rc
}

run() {
  local cwd=$PWD hybrid=no net=own shares=$PWD:$PWD s src before rc=0 ns
  while [ $# -gt 0 ]; do
    case $1 in
      --share) s=$2; src=$(readlink -f "${s%%:*}"); [ -d "$src" ] || die "not a directory: $s"
               [ "$s" = "${s#*:}" ] && shares+=$'\n'$src:$src || shares+=$'\n'$src:${s#*:}; shift 2 ;;
      --cwd) cwd=$2; shift 2 ;; --host-network) net=host; shift ;; --keep-hybrid) hybrid=yes; shift ;;
      --) shift; break ;; *) die "unknown option $1 (the command goes after --)" ;;
    esac
  done
  [ $# -gt 0 ] || die "no command: native.sh run [OPTIONS] -- CMD [ARG..]"
  build
  before=$(find /sys/fs/cgroup -mindepth 1 -type d | sort)
  ns=(unshare --mount --propagation private --pid --fork --kill-child --ipc --uts); [ $net = host ] || ns+=(--net)
  "${ns[@]}" bash "$SELF" --inside "$TREE" "$cwd" $hybrid $net "$shares" -- "$@" || rc=$?
  # Remove the empty cgroups that appeared during CMD under names that engines use.
  comm -13 <(echo "$before") <(find /sys/fs/cgroup -mindepth 1 -type d | sort) | sort -r |
    grep -E '/(docker|default|k8s\.io|kubepods|libpod_parent|machine\.slice|lxc\.[a-z]+[^/]*|system\.slice|test-[^/]*)(/|$)' |
    while read -r s; do rmdir "$s" 2>/dev/null || true; done || true
  return $rc
}

case ${1:-} in
  build) build ;;
  run) shift; run "$@" ;;
  clean) rm -rf --one-file-system "$NATIVE_CACHE" ;;
  --inside) shift; inside "$@" ;;
  *) sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$SELF"; [ "${1:-}" = --help ] || exit 125 ;;
esac
