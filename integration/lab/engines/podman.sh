# Podman with its hook. `options` are those of its containers beside the limits, `as` is the user that runs podman.
podman_up() { # RUNTIME
  runtime=$1 options=() as=
  podman_ import $WORK/image.tar $IMAGE >/dev/null 2>&1
}
podman_() { ${as:+as_$as} podman --cgroup-manager cgroupfs --runtime "$runtime" --events-backend file --log-level error "$@"; }
podman_set_up() {
  hooks >$WORK/before
  plimsoll install podman >$WORK/install.log
}
hooks() { ls -A /usr/share/containers/oci/hooks.d 2>/dev/null || true; }
podman_undo() { plimsoll uninstall podman >>$WORK/install.log; hooks | cmp - $WORK/before; }
podman_run() { podman_ run --rm "${options[@]}" --network none -m ${MIB}m --cpus 1 $IMAGE sh -c "$ASK"; }
podman_start() { podman_ run -d --name cell "${options[@]}" --network none -m ${MIB}m --cpus 1 $IMAGE sleep 100000 >/dev/null; }
podman_pid() { podman_ inspect -f '{{.State.Pid}}' cell; }
podman_ask() { podman_ exec cell sh -c "$1"; }
podman_limit() { podman_ update -m "$1m" --memory-swap "$1m" cell >/dev/null; }
podman_again() { podman_ restart -t 0 cell >/dev/null; }
podman_down() { podman_ rm -f -t 0 cell >/dev/null 2>&1 || true; }
podman_name() { echo "podman $(podman --version | sed 's/.*version \([0-9.]*\).*/\1/')"; }
