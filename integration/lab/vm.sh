#!/bin/bash
# vm.sh - runs a command in a throw-away virtual machine: Debian, as root, with every cgroup v2
#         controller, PSI and several CPUs, on any host.
#
#   vm.sh run [OPTIONS] -- CMD [ARG..] boot, run CMD in the guest, print its stdout/stderr,
#                                      power off, exit with CMD's exit status
#   vm.sh shell [OPTIONS]              boot and give a root console (leave with: poweroff -ff)
#   vm.sh build                        build the cached guest image (run and shell do this too)
#   vm.sh clean                        remove everything under the cache directory
#
# OPTIONS
#   --no-systemd                 faster: a small script is PID 1 (cgroup v2 mounted, every controller
#                                enabled, no D-Bus, no udev)
#   --cgroup v1|hybrid           boot systemd with those cgroups instead of v2 (VM_SUITE=bookworm only)
#   --share DIR[:GUESTDIR][:ro]  share a host directory (virtiofs, root may write); may be repeated.
#                                GUESTDIR defaults to DIR. The current directory is always shared.
#   --cwd DIR                    working directory in the guest (default: the current directory)
#   --env NAME[=VALUE]           pass an environment variable; may be repeated
#   --cpus N   (default 4)       --mem MIB (default 3072)       --timeout SECONDS (default 600)
#   --append 'KERNEL ARGS'       more kernel arguments
#   --selinux                    boot with SELinux and Debian's policy, permissive (an image of its own)
#   --wait UNIT                  run "systemctl start UNIT" before CMD
#
# EXIT STATUS: CMD's own; 124 timed out; 125 the machine or its image failed (the script prints the console).
#
# ENVIRONMENT
#   VM_CACHE     cache directory, about 4 GB (default ${XDG_CACHE_HOME:-$HOME/.cache}/vm-harness)
#   VM_SUITE     trixie (default: kernel 6.12, systemd 257) or bookworm (kernel 6.1, systemd 252)
#   VM_KERNEL    backports: the kernel of VM_SUITE's backports (6.16 or later for trixie), in an image of its own
#   VM_PACKAGES  more Debian packages for the guest (an image of its own for each list)
#   VM_ACCEL     tcg (default, emulation: works everywhere) or kvm, if this host's KVM runs stock kernels
#   VM_MIRROR    Debian mirror (default: the one this host's apt uses)
#   VM_DEBUG     if set, show the guest's console (kernel, systemd) after the run
#
# NEEDS on the host: root, x86_64, mmdebstrap, mke2fs, unxz, unshare. QEMU and virtiofsd run from a small
# Debian tree in the cache, so the versions of the host do not matter. The script leaves nothing behind:
# mounts and processes live in private namespaces, and guest disk writes go to a temporary snapshot.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SELF=$HERE/$(basename "${BASH_SOURCE[0]}")
# shellcheck source=integration/lab/mirror.sh
. "$HERE/mirror.sh"
: "${VM_MIRROR:=}" "${VM_CACHE:=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/vm-harness}"
: "${VM_SUITE:=trixie}" "${VM_KERNEL:=}" "${VM_PACKAGES:=}" "${VM_ACCEL:=tcg}"
DISK_SIZE=8G        # virtual size of the guest's disk; the file is sparse
TOOLS=$VM_CACHE/tools-trixie

# The packages of every guest. Services are disabled: a test starts those that it needs.
PACKAGES=(systemd systemd-sysv dbus udev kmod iproute2 iptables fuse3 procps util-linux
  busybox-static ca-certificates python3-minimal jq strace e2fsprogs uidmap libseccomp2
  crun runc conmon podman containernetworking-plugins containerd docker.io lxc lxcfs
  htop stress-ng)
case $VM_SUITE in
  trixie)   PACKAGES+=(docker-cli netavark aardvark-dns incus-base nftables) ;;
  bookworm) PACKAGES+=(netavark aardvark-dns nftables) ;;
  *) echo "vm.sh: unknown VM_SUITE $VM_SUITE (trixie, bookworm)" >&2; exit 125 ;;
esac
case $VM_KERNEL in
  '' | backports) ;;
  *) echo "vm.sh: unknown VM_KERNEL $VM_KERNEL (backports, or nothing)" >&2; exit 125 ;;
esac
PACKAGES+=(python3-psutil nodejs sysstat hwloc-nox numactl)   # programs that tests run in containers

die()  { echo "vm.sh: $*" >&2; exit 125; }
note() { echo "vm.sh: $*" >&2; }

sources() { # the apt sources of suite $1
  local m=$VM_MIRROR s=${VM_MIRROR%/}-security
  printf 'deb %s %s main\ndeb %s %s-updates main\ndeb %s %s-security main\n' \
    "$m" "$1" "$m" "$1" "$s" "$1"
}

debootstrap_tree() { # debootstrap_tree SUITE DIR PACKAGES.. : like debootstrap, from $VM_MIRROR
  local suite=$1 dir=$2 pk; shift 2; pk=$(IFS=,; echo "$*")
  sources "$suite" | mmdebstrap --mode=root --variant=minbase --architectures=amd64 \
    --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/gocode/*' \
    --essential-hook='mkdir -p "$1/usr/share/man/man1"' \
    --include="$pk" "${HOOKS[@]}" "$suite" "$dir" -
}

# Put the kernel into the tree: the package is unpacked, not installed, so that no initramfs is
# built (the cloud kernel has NVMe, ext4, virtio-pci and virtiofs built in and needs none).
kernel_hook() { # runs on the host with the tree as $1
  local root=$1 pkg v
  pkg=$(chroot "$root" apt-cache depends --important linux-image-cloud-amd64 |
        sed -n 's/.*Depends: \(linux-image-[0-9]\S*\)/\1/p' | head -1)
  [ -n "$pkg" ] || { echo "no kernel package found" >&2; exit 1; }
  (cd "$root/tmp" && chroot "$root" sh -c "cd /tmp && apt-get download -q $pkg >&2")
  chroot "$root" sh -c 'dpkg-deb -x /tmp/linux-image-*.deb /tmp/k && cp -a /tmp/k/boot/. /boot/ &&
    mkdir -p /usr/lib/modules && cp -a /tmp/k/*/modules/. /usr/lib/modules/ 2>/dev/null ||
    cp -a /tmp/k/usr/lib/modules/. /usr/lib/modules/; rm -rf /tmp/k /tmp/linux-image-*.deb'
  v=$(ls "$root/usr/lib/modules")
  find "$root/usr/lib/modules" -name '*.ko.xz' -exec unxz {} +   # faster to load when emulated
  chroot "$root" depmod "$v"
  mv "$root/boot/vmlinuz-$v" "$root/boot/vmlinuz"; rm -f "$root"/boot/System.map-*
}

# Configure the guest: our runner unit, no engine started at boot, nothing that slows the boot.
setup_hook() {
  local root=$1 u
  echo vm > "$root/etc/hostname"; printf '127.0.0.1 localhost vm\n' > "$root/etc/hosts"
  : > "$root/etc/fstab"; : > "$root/etc/machine-id"
  chroot "$root" passwd -d root >/dev/null
  cat > "$root/usr/local/sbin/vm-guest-run" <<'GUEST'
#!/bin/bash
# Runs the command that the host left in the control share; see vm.sh.
modprobe -qa virtio_pci virtio_console virtiofs overlay    # built in or modules, by kernel version
grep -q vmshell /proc/cmdline || for _ in {1..100}; do compgen -G '/sys/class/virtio-ports/*' >/dev/null && break; sleep 0.05; done
mkdir -p /run/vmctl && mount -t virtiofs vmctl /run/vmctl || exit 1
port() { local p; for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" != "$1" ] || echo /dev/${p##*/}; done; }
while read -r tag opts dir; do mkdir -p "$dir" && mount -t virtiofs -o "$opts" "$tag" "$dir"; done < /run/vmctl/shares
# The kernel was booted with maxcpus=2: more virtual CPUs than real ones make an emulated boot
# slow. Bring up the others now.
for c in /sys/devices/system/cpu/cpu[0-9]*/online; do [ "$(cat "$c")" = 1 ] || echo 1 > "$c"; done
cut -d' ' -f1 /proc/uptime > /run/vmctl/started
! grep -q vmshell /proc/cmdline || exit 0
bash /run/vmctl/cmd >"$(port vm.out)" 2>"$(port vm.err)" </dev/null
echo $? > /run/vmctl/rc.tmp && mv /run/vmctl/rc.tmp /run/vmctl/rc
umount /run/vmctl
GUEST
  chmod 755 "$root/usr/local/sbin/vm-guest-run"
  cat > "$root/etc/systemd/system/vm-guest-run.service" <<'UNIT'
[Unit]
Description=Command given by vm.sh
ConditionKernelCommandLine=|vmrun
ConditionKernelCommandLine=|vmshell
After=basic.target dbus.socket
[Service]
Type=exec
Environment=HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/usr/local/sbin/vm-guest-run
ExecStopPost=/bin/sh -c 'grep -q vmshell /proc/cmdline || exec systemctl poweroff -ff'
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576
LimitMEMLOCK=infinity
OOMPolicy=continue
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
UNIT
  mkdir -p "$root/etc/systemd/system/serial-getty@ttyS0.service.d"
  printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 %%I linux\n' \
    > "$root/etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf"
  mkdir -p "$root/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=volatile\n' > "$root/etc/systemd/journald.conf.d/vm.conf"
  for u in containerd docker docker.socket podman podman.socket podman-restart podman-auto-update.timer \
           podman-clean-transient lxc lxc-net lxc-monitord lxcfs incus incus.socket incus-user incus-user.socket \
           incus-startup incus-lxcfs nftables apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
           e2scrub_reap fstrim.timer getty@tty1 systemd-timesyncd systemd-networkd sysstat; do
    chroot "$root" systemctl disable "$u" >/dev/null 2>&1 || true
  done
  chroot "$root" systemctl mask systemd-udev-settle systemd-hwdb-update ldconfig systemd-journal-catalog-update \
    systemd-update-done systemd-firstboot systemd-machine-id-commit modprobe@drm tpm-udev systemd-pcrphase \
    systemd-tpm2-setup systemd-tpm2-setup-early \
    systemd-logind systemd-binfmt systemd-random-seed systemd-udev-load-credentials systemd-user-sessions \
    proc-sys-fs-binfmt_misc.automount modprobe@efi_pstore modprobe@configfs modprobe@loop modprobe@dm_mod systemd-boot-random-seed \
    systemd-pstore systemd-battery-check rescue emergency netavark-dhcp-proxy.socket \
    sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount systemd-ask-password-wall.path \
    systemd-ask-password-console.path >/dev/null 2>&1 || true
  chroot "$root" systemctl set-default multi-user.target >/dev/null 2>&1
  chroot "$root" systemctl enable vm-guest-run >/dev/null 2>&1
  # PID 1 for --no-systemd: what systemd would mount, all controllers enabled, then the runner
  cat > "$root/usr/local/sbin/vm-init" <<'INIT'
#!/bin/bash
export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
cd /; umask 022; hostname vm; ulimit -n 1048576; ulimit -l unlimited
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
mountpoint -q /dev || mount -t devtmpfs -o mode=755 dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs /dev/shm
mount -t mqueue mqueue /dev/mqueue
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs /run; mkdir -p -m 1777 /run/lock
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t bpf bpf /sys/fs/bpf; mount -t fusectl fusectl /sys/fs/fuse/connections
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
ln -sfn /proc/self/fd /dev/fd; ln -sfn fd/0 /dev/stdin; ln -sfn fd/1 /dev/stdout; ln -sfn fd/2 /dev/stderr
mkdir /sys/fs/cgroup/init.scope && echo 1 > /sys/fs/cgroup/init.scope/cgroup.procs
for c in $(cat /sys/fs/cgroup/cgroup.controllers); do echo "+$c" > /sys/fs/cgroup/cgroup.subtree_control; done
mount --make-rshared /
ip link set lo up
/usr/local/sbin/vm-guest-run
! grep -q vmshell /proc/cmdline || setsid -c bash -l </dev/ttyS0 >/dev/ttyS0 2>&1
sync; poweroff -ff || /usr/bin/busybox poweroff -f
INIT
  chmod 755 "$root/usr/local/sbin/vm-init"
}

image_dir() { # one directory for each suite, package list and version of this script's build half
  local key
  key=$( { echo "$VM_SUITE ${PACKAGES[*]}${VM_PACKAGES:+ $VM_PACKAGES}"
           sed -n '/^sources()/,/^image_dir()/p' "$SELF"; } | sha256sum | cut -c1-12)
  echo "$VM_CACHE/image-$VM_SUITE${VM_KERNEL:+-$VM_KERNEL}-$key"
}

# Put the kernel of the suite's backports into the tree $1, in place of kernel_hook. There the image
# is a package of its own beside those of the kernel proper and its modules.
backports_hook() {
  local root=$1 image v
  echo "deb $VM_MIRROR $VM_SUITE-backports main" > "$root/etc/apt/sources.list.d/backports.list"
  printf 'Package: linux-*\nPin: release n=%s-backports\nPin-Priority: 900\n' "$VM_SUITE" \
    > "$root/etc/apt/preferences.d/backports"
  chroot "$root" apt-get -q update >&2
  depends() { chroot "$root" apt-cache depends --important "$1" | sed -n 's/.*Depends: \(linux-\(image\|binary\|modules\|base\)-[0-9]\S*\)/\1/p'; }
  image=$(depends linux-image-cloud-amd64 | head -1)
  [ -n "$image" ] || { echo "no kernel package found in $VM_SUITE-backports" >&2; exit 1; }
  mkdir "$root/tmp/kernel"
  # shellcheck disable=SC2046
  chroot "$root" sh -c 'cd /tmp/kernel && apt-get download -q "$@" >&2 && for deb in *.deb; do dpkg-deb -x "$deb" tree; done' \
    - "$image" $(depends "$image")
  mkdir -p "$root/usr/lib/modules"
  v=${image#linux-image-}
  cp -a "$root"/tmp/kernel/tree/usr/lib/modules/"$v" "$root/usr/lib/modules/"
  cp "$(find "$root/tmp/kernel/tree" -name "vmlinuz*" -type f | head -1)" "$root/boot/vmlinuz"
  cp "$(find "$root/tmp/kernel/tree" -name "config*" -type f | head -1)" "$root/boot/config-$v"
  rm -rf "$root/tmp/kernel"
  find "$root/usr/lib/modules" -name '*.ko.xz' -exec unxz {} +
  chroot "$root" depmod "$v"
}

build() { # leaves $IMG/rootfs.ext4 and $IMG/vmlinuz; safe when several run at once
  IMG=$(image_dir)
  [ -e "$IMG/done" ] && [ -e "$TOOLS.done" ] && return
  [ "$(id -u)" = 0 ] || die "must be root"
  command -v mmdebstrap >/dev/null || die "needs mmdebstrap: apt-get install -y mmdebstrap"
  : "${VM_MIRROR:=$(default_mirror VM_MIRROR)}"
  export VM_MIRROR                                # for the hooks
  [ -n "$VM_MIRROR" ] || exit 125
  mkdir -p "$VM_CACHE"
  exec 9>"$VM_CACHE/lock"; flock 9
  local t0=$SECONDS
  if [ ! -e "$TOOLS.done" ]; then
    note "building the tool tree (QEMU, virtiofsd): once, about 20 s"
    rm -rf --one-file-system "$TOOLS"; HOOKS=()
    debootstrap_tree trixie "$TOOLS" qemu-system-x86 virtiofsd e2fsprogs >"$VM_CACHE/tools.log" 2>&1 ||
      { grep -a '^E:' "$VM_CACHE/tools.log" | tail -3 >&2 || true; die "could not build the tool tree (is $VM_MIRROR reachable? log: $VM_CACHE/tools.log)"; }
    touch "$TOOLS.done"
  fi
  if [ ! -e "$IMG/done" ]; then
    note "building the $VM_SUITE guest image${VM_KERNEL:+ with the kernel of its $VM_KERNEL}: once, about 90 s"
    rm -rf --one-file-system "$IMG"; mkdir -p "$IMG"
    HOOKS=(--customize-hook="$SELF --hook ${VM_KERNEL:-kernel} \"\$1\"" --customize-hook="$SELF --hook setup \"\$1\"")
    # shellcheck disable=SC2086
    debootstrap_tree "$VM_SUITE" "$IMG/tree" "${PACKAGES[@]}" $VM_PACKAGES \
      >"$IMG/build.log" 2>&1 || { grep -a '^E:' "$IMG/build.log" | tail -3 >&2 || true; die "could not build the guest tree (is $VM_MIRROR reachable? log: $IMG/build.log)"; }
    mv "$IMG/tree/boot/vmlinuz" "$IMG/vmlinuz"; mv "$IMG"/tree/boot/config-* "$IMG/kernel-config"
    truncate -s $DISK_SIZE "$IMG/rootfs.ext4"
    # no lazy initialisation and no journal: less work for an emulated guest
    mke2fs -q -t ext4 -L root -O ^has_journal -E lazy_itable_init=1,nodiscard -d "$IMG/tree" "$IMG/rootfs.ext4" 2>>"$IMG/build.log" ||
      die "mke2fs failed: $IMG/build.log"
    rm -rf --one-file-system "$IMG/tree"; touch "$IMG/done"
  fi
  flock -u 9; exec 9>&-
  note "built in $((SECONDS - t0)) s: $(du -sh "$IMG/rootfs.ext4" | cut -f1) image, $(du -sh "$TOOLS" | cut -f1) tools"
}

# ---- the half that runs inside the private namespaces (mount + PID), as PID 1 of them ----------
inside() { # inside MODE CTL IMG CPUS MEM TIMEOUT APPEND ; shares in $CTL/host-shares
  local mode=$1 ctl=$2 img=$3 cpus=$4 mem=$5 limit=$6 append=$7 n=0 src opts tag dir qargs=() q=()
  mount -t proc proc /proc
  mount --rbind /dev "$TOOLS/dev"
  mount -t proc proc "$TOOLS/proc"
  mkdir -p "$TOOLS/vm"; mount -t tmpfs -o mode=700 tmpfs "$TOOLS/vm"
  mkdir "$TOOLS/vm/img" "$TOOLS/vm/tmp"
  mount --bind "$img" "$TOOLS/vm/img"
  mount --bind "$ctl/tmp" "$TOOLS/vm/tmp"         # the disk snapshot goes here
  share() { # share TAG SOURCE [virtiofsd options]: one virtiofsd for each directory
    local tag=$1 src=$2; shift 2
    mkdir "$TOOLS/vm/$tag"; mount --rbind "$src" "$TOOLS/vm/$tag"
    chroot "$TOOLS" /usr/libexec/virtiofsd --socket-path="/vm/$tag.sock" --shared-dir="/vm/$tag" \
      --sandbox=none --cache=auto --log-level=error "$@" >"$ctl/virtiofsd-$tag.log" 2>&1 </dev/null &
    q+=(-chardev "socket,id=$tag,path=/vm/$tag.sock" -device "vhost-user-fs-pci,chardev=$tag,tag=$tag,queue-size=1024")
  }
  share vmctl "$ctl/share"
  while read -r tag opts src; do
    if [ "$opts" = ro ]; then share "$tag" "$src" --readonly; else share "$tag" "$src"; fi
  done < "$ctl/host-shares"
  for tag in "$TOOLS"/vm/*/; do tag=$(basename "$tag"); case $tag in img|tmp) continue;; esac
    n=0; until [ -S "$TOOLS/vm/$tag.sock" ]; do n=$((n+1)); [ $n -lt 200 ] || { echo "virtiofsd for $tag did not start" >&2; cat "$ctl/virtiofsd-$tag.log" >&2; exit 125; }; sleep 0.05; done
  done
  case $VM_ACCEL in
    kvm) q+=(-accel kvm -cpu host) ;;
    *)   q+=(-accel tcg,thread=multi,tb-size=512 -cpu max) ;;
  esac
  q+=(-machine q35,memory-backend=ram,usb=off,smbus=off,sata=off,vmport=off -object "memory-backend-memfd,id=ram,size=${mem}M,share=on"
      -m "${mem}M" -smp "$cpus" -nodefaults -no-user-config -no-reboot -display none
      -kernel /vm/img/vmlinuz
      -drive file=/vm/img/rootfs.ext4,format=raw,if=none,id=root,snapshot=on,cache=unsafe
      -device nvme,drive=root,serial=root -device virtio-rng-pci)
  # TSC of an emulated CPU is not checked: avoids clocksource watchdog noise
  append="root=/dev/nvme0n1 rw console=ttyS0 panic=-1 maxcpus=2 psi=1 mitigations=off nokaslr audit=0 tsc=reliable nowatchdog random.trust_cpu=on systemd.show_status=0 $append"
  if [ "$mode" = shell ]; then
    q+=(-serial mon:stdio -append "$append vmshell")
    TMPDIR=/vm/tmp chroot "$TOOLS" qemu-system-x86_64 "${q[@]}"; exit
  fi
  # stdout and stderr travel over two virtio-serial ports into two FIFOs
  mkfifo "$ctl/tmp/out" "$ctl/tmp/err"; cat "$ctl/tmp/out" & cat "$ctl/tmp/err" >&2 &
  exec 3<>"$ctl/tmp/out" 4<>"$ctl/tmp/err"        # so that nothing blocks if QEMU fails to start
  q+=(-chardev file,id=log,path=/vm/tmp/console -serial chardev:log -device virtio-serial-pci
      -chardev file,id=out,path=/vm/tmp/out -device virtserialport,chardev=out,name=vm.out
      -chardev file,id=err,path=/vm/tmp/err -device virtserialport,chardev=err,name=vm.err
      -append "$append quiet loglevel=3 vmrun")
  local rc=0 cats; cats=$(jobs -p | tail -2)
  TMPDIR=/vm/tmp timeout -k 5 "$limit" chroot "$TOOLS" qemu-system-x86_64 "${q[@]}" </dev/null >"$ctl/qemu.log" 2>&1 3>&- 4>&- || rc=$?
  exec 3>&- 4>&-; wait $cats || true                # the last output reaches the caller
  exit $rc
}

run() { # run MODE OPTIONS.. [-- CMD..]
  local mode=$1 cpus=4 mem=3072 limit=600 cwd=$PWD append='' selinux='' shares=("$PWD") envs=() ctl rc n=0 s src dst opts; shift
  while [ $# -gt 0 ]; do
    case $1 in
      --share) shares+=("$2"); shift 2 ;;       --cwd) cwd=$2; shift 2 ;;
      --env) envs+=("$2"); shift 2 ;;           --cpus) cpus=$2; shift 2 ;;
      --mem) mem=$2; shift 2 ;;                 --timeout) limit=$2; shift 2 ;;
      --append) append+=" $2"; shift 2 ;;       --wait) WAIT=$2; shift 2 ;;
      --selinux)
        append+=" security=selinux selinux=1 enforcing=0 audit=1"
        VM_PACKAGES="${VM_PACKAGES:+$VM_PACKAGES }selinux-policy-default selinux-utils policycoreutils"
        selinux=1; shift ;;
      --cgroup)
        [ "$VM_SUITE" = bookworm ] || die "--cgroup needs VM_SUITE=bookworm: the systemd of $VM_SUITE knows cgroup v2 only"
        case $2 in v1) n=1 ;; hybrid) n=0 ;; *) die "--cgroup is v1 or hybrid, not $2" ;; esac
        append+=" systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=$n"; n=0; shift 2 ;;
      --no-systemd) append+=" init=/usr/local/sbin/vm-init"; shift ;;
      --) shift; break ;;
      *) die "unknown option $1 (the command goes after --)" ;;
    esac
  done
  [ "$mode" = shell ] || [ $# -gt 0 ] || die "no command: vm.sh run [OPTIONS] -- CMD [ARG..]"
  build
  ctl=$(mktemp -d "${TMPDIR:-/tmp}/vm.XXXXXX"); mkdir "$ctl/share" "$ctl/tmp"
  # shellcheck disable=SC2064
  trap "rm -rf '$ctl'" EXIT
  : > "$ctl/host-shares"; : > "$ctl/share/shares"
  for s in "${shares[@]}"; do
    opts=rw; [ "${s%:ro}" = "$s" ] || { opts=ro; s=${s%:ro}; }
    src=${s%%:*}; dst=${s#*:}; src=$(readlink -f "$src"); [ "$s" = "${s#*:}" ] && dst=$src
    [ -d "$src" ] || die "not a directory: $s"
    [ "$dst" != / ] || die "cannot share over the guest's /"
    n=$((n+1)); echo "share$n $opts $src" >> "$ctl/host-shares"; echo "share$n $opts $dst" >> "$ctl/share/shares"
  done
  { for s in "${envs[@]}"; do
      case $s in *=*) printf 'export %s=%q\n' "${s%%=*}" "${s#*=}" ;; *) printf 'export %s=%q\n' "$s" "${!s-}" ;; esac
    done
    # systemd loads the policy itself.
    [ -z "$selinux" ] || echo '[ -e /sys/fs/selinux/enforce ] || { mount -t selinuxfs selinuxfs /sys/fs/selinux; load_policy -i; } || exit 125'
    [ -z "${WAIT:-}" ] || printf 'systemctl start %q\n' "$WAIT"
    printf 'cd %q || exit 125\n' "$cwd"; printf '%q ' "$@"; echo; } > "$ctl/share/cmd"
  rc=0
  local ns=(unshare --mount --propagation private --pid --fork --kill-child
    bash "$SELF" --inside "$mode" "$ctl" "$IMG" "$cpus" "$mem" "$limit" "$append")
  if [ "$mode" = shell ]; then "${ns[@]}"; return; fi
  # In the background, so that a signal to this script ends the guest at once: killing unshare
  # kills the PID namespace and everything in it.
  "${ns[@]}" </dev/null & local pid=$!
  trap 'kill -KILL $pid 2>/dev/null; note interrupted; exit 130' INT TERM HUP
  wait $pid || rc=$?
  trap - INT TERM HUP
  [ -z "${VM_DEBUG:-}" ] || cat "$ctl/tmp/console" >&2
  if [ -s "$ctl/share/rc" ]; then return "$(cat "$ctl/share/rc")"; fi
  if [ $rc = 124 ] || [ $rc = 137 ]; then note "timed out after $limit s"; rc=124; else note "the guest gave no result (qemu: $rc)"; rc=125; fi
  { echo "--- console"; tail -30 "$ctl/tmp/console"; echo "--- qemu"; tail -5 "$ctl/qemu.log"; } >&2 2>/dev/null || true
  return $rc
}

case ${1:-} in
  build) build ;;
  run|shell) run "$@" ;;
  clean) rm -rf --one-file-system "$VM_CACHE" ;;
  --hook) "$2_hook" "$3" ;;
  --inside) shift; inside "$@" ;;
  *) sed -n '2,/^set -euo/{/^set/d;s/^# \{0,1\}//;p}' "$SELF"; [ "${1:-}" = --help ] || exit 125 ;;
esac
