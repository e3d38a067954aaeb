# A pod of containerd by CRI that names no RuntimeClass: containerd tells the plugin of each container, by NRI. Before a
# container starts again, containerd is restarted under the plugin.
nri_cannot() { # RUNTIME
  case $(containerd --version) in *' 1.'[0-6].*) echo 'no: containerd has no NRI before 1.7' ;; esac
}
nri_up() { # RUNTIME
  plugin=
  pod_up "$1" '[plugins."io.containerd.nri.v1.nri"]
  disable = false'
}
nri_set_up() {
  pod_end
  plimsoll nri >$WORK/nri.log 2>&1 & plugin=$!; daemons+=($plugin)
  nri_registered 1
  pod=$(cri run-pod handler=bare name=cell)
}
nri_registered() { waited "[ \$(grep -c 'INFO registered' $WORK/nri.log) = $1 ]"; }
nri_undo() {
  pod_end && kill $plugin && wait $plugin && cmp /etc/containerd/config.toml $WORK/before &&
    cp $WORK/found /etc/containerd/config.toml
}
nri_run() { pod_run; }
nri_start() { pod_start; }
nri_pid() { pod_pid; }
nri_ask() { pod_ask "$@"; }
nri_limit() { pod_limit "$@"; }
nri_again() {
  [ -z "$plugin" ] || nri_restart
  pod_again
}
nri_restart() { # restarts containerd, which started before the plugin
  kill "${daemons[-2]}"; wait "${daemons[-2]}" || true
  containerd >>$WORK/containerd.log 2>&1 & daemons[-2]=$!
  waited "ctr version" && nri_registered 2
}
nri_down() { pod_down; }
nri_name() { echo "$(containerd_name), a pod by NRI"; }
