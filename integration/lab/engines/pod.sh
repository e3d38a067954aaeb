# A pod of containerd by CRI: integration/lab/cri asks as a kubelet does, and a RuntimeClass names the runtime. A restarted
# container is a new one, with the limits of its pod.
cri() { integration/lab/cri /run/containerd/containerd.sock "$@"; }
pod_up() { # RUNTIME [MORE]: MORE is added to the configuration
  runtime=$1
  cp /etc/containerd/config.toml $WORK/found
  cat >/etc/containerd/config.toml <<CONFIGURATION
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  # Not every host lets root lower the OOM score.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "bare"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bare]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.bare.options]
      BinaryName = "$(command -v "$runtime")"
${2-}
CONFIGURATION
  cp /etc/containerd/config.toml $WORK/before
  integration/lab/oci-archive $WORK/image.tar localhost/pause:1 $WORK/pause.tar sleep 100000
  containerd_begin
  ctr -n k8s.io image import $WORK/oci.tar >/dev/null
  ctr -n k8s.io image import $WORK/pause.tar >/dev/null
  pod=$(cri run-pod handler=bare name=bare) || { grep level=error $WORK/containerd.log | tail -n 1 >&2; return 1; }
}
pod_set_up() {
  pod_end
  containerd_renew
  pod=$(cri run-pod handler=plimsoll name=cell)
}
pod_end() { cri stop-pod "id=$pod" && cri remove-pod "id=$pod"; }
pod_undo() {
  pod_end && plimsoll uninstall containerd >>$WORK/install.log && cmp /etc/containerd/config.toml $WORK/before &&
    cp $WORK/found /etc/containerd/config.toml
}
pod_new() { # NAME COMMAND..: prints the id of the container
  local name=$1 id; shift
  id=$(cri create "pod=$pod" of=cell "name=$name" "image=$IMAGE" memory=$((MIB << 20)) cpu=1000 -- "$@") || return
  cri start "id=$id" && echo "$id"
}
pod_run() {
  local id; rm -f /tmp/once.log
  id=$(pod_new once sh -c "$ASK; echo all") || return
  waited "grep -q ' all$' /tmp/once.log" && sed '/ all$/d; s/^[^ ]* [^ ]* [^ ]* //' /tmp/once.log
  cri stop "id=$id" && cri remove "id=$id"
}
pod_start() { container=$(pod_new cell sleep 100000); }
pod_pid() { cri pid "id=$container"; }
pod_ask() { cri exec "id=$container" -- sh -c "$1"; }
pod_limit() { cri update "id=$container" memory=$(($1 << 20)); }
pod_again() { pod_down && pod_start; }
pod_down() { cri stop "id=$container" && cri remove "id=$container"; }
pod_name() { echo "$(containerd_name), a pod of a RuntimeClass"; }
