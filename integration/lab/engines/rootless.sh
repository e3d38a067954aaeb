# Podman of an unprivileged user, in a cgroup of that user, as systemd gives one with Delegate=yes.
for step in undo run start pid ask limit again down; do
  eval "rootless_$step() { podman_$step \"\$@\"; }"
done
GIVEN=/sys/fs/cgroup/rootless

rootless_cannot() {
  grep -qsw memory /sys/fs/cgroup/cgroup.controllers ||
    echo "no: Podman on cgroup v1 cannot limit the containers of a user, and a container without a limit gets no view"
}
rootless_up() { # RUNTIME
  runtime=$1 options=(--cgroup-parent "${GIVEN#/sys/fs/cgroup}")
  id plain >/dev/null 2>&1 || useradd --create-home plain
  for file in subuid subgid; do grep -q ^plain: /etc/$file || echo plain:300000:65536 >>/etc/$file; done
  mkdir -p /run/plain $GIVEN/shell
  echo "+memory +cpu +pids" >$GIVEN/cgroup.subtree_control
  chown plain: /run/plain $GIVEN{,/cgroup.procs,/cgroup.subtree_control,/cgroup.threads} $GIVEN/shell{,/cgroup.procs}
  chmod 700 /run/plain
  chmod a+rX $WORK $WORK/image.tar
  as=plain
  podman_ import $WORK/image.tar $IMAGE >/dev/null 2>&1
}
rootless_set_up() { podman_set_up; }
as_plain() { # COMMAND..
  # shellcheck disable=SC2016
  sh -c 'echo $$ >"$0/shell/cgroup.procs"; exec "$@"' $GIVEN \
    runuser -u plain -- env -C / HOME=/home/plain XDG_RUNTIME_DIR=/run/plain "PATH=$PATH" "$@"
}
rootless_name() { echo "$(podman_name), rootless"; }
