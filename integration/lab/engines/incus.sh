# Incus. Its containers include the configuration of LXC: system containers, whose first process is an init.
incus_cannot() {
  [ -x $INCUSD ] || { echo "no: Incus is not installed"; return; }
  grep -qsw memory /sys/fs/cgroup/cgroup.controllers || [ "$(lxc-start --version | cut -d. -f1)" -lt 7 ] ||
    echo "no: LXC 7 starts none on cgroup v1"
}
INCUSD=/usr/libexec/incus/incusd
incus_up() {
  # As if lxcfs were not installed: its hook would mount its own files.
  [ ! -e $LXCFS ] || mv $LXCFS $WORK/
  grep -q ^root: /etc/subuid || for file in subuid subgid; do echo root:1000000:1000000000 >>/etc/$file; done
  mkdir -p /var/log/incus
  $INCUSD >$WORK/incusd.log 2>&1 & daemons+=($!)
  waited "incus admin waitready --timeout 5"
  incus admin init --preseed >/dev/null <<'PRESEED'
storage_pools: [{name: default, driver: dir}]
profiles: [{name: default, devices: {root: {path: /, pool: default, type: disk}}}]
PRESEED
  mkdir -p $WORK/incus/rootfs/sbin
  tar -C $WORK/incus/rootfs -xf $WORK/image.tar
  printf '#!/bin/sh\n(%s) >/said 2>&1\nwhile :; do sleep 1000; done\n' "$ASK" >$WORK/incus/rootfs/sbin/init
  chmod 755 $WORK/incus/rootfs/sbin/init
  printf 'architecture: %s\ncreation_date: 1\nproperties: {description: cell}\n' "$(uname -m)" >$WORK/incus/metadata.yaml
  tar -C $WORK/incus -cf $WORK/incus.tar metadata.yaml rootfs
  incus image import $WORK/incus.tar --alias cell >/dev/null
}
LXCFS=/usr/share/lxc/config/common.conf.d/00-lxcfs.conf
incus_set_up() { plimsoll install incus >$WORK/install.log; }
incus_undo() {
  plimsoll uninstall incus >>$WORK/install.log && [ ! -e ${LXCFS%/*}/plimsoll.conf ] || return
  [ ! -e $WORK/${LXCFS##*/} ] || mv $WORK/${LXCFS##*/} $LXCFS
  incus image delete cell
}
# A limit of CPU time, as in the cells of other engines: Incus binds a container to CPUs (limits.cpu=1) only after its start.
incus_new() { incus launch --quiet cell "$1" -c limits.memory=${MIB}MiB -c limits.cpu.allowance=100ms/100ms >/dev/null 2>$WORK/error; }
incus_run() {
  incus_new once && waited "incus exec once -- grep -q DirectMap /said" && incus exec once -- cat /said
  incus delete -f once
}
incus_start() { incus_new cell; }
incus_pid() { incus list cell --format csv --columns p; }
incus_ask() { incus exec cell -- sh -c "$1"; }
incus_limit() { incus config set cell limits.memory="$1MiB"; }
incus_again() { incus restart -f cell; }
incus_down() { incus delete -f cell; }
incus_name() { echo "incus $($INCUSD --version)"; }
