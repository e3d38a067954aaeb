# Docker. Its default runtime is Plimsoll's after set_up; before, --runtime names the bare one.
docker_up() { # RUNTIME [MORE of the configuration]
  runtime=$1
  printf '{%s "exec-opts": ["native.cgroupdriver=cgroupfs"], "bridge": "none", "iptables": false, "runtimes": {"bare": {"path": "%s"}}}\n' \
    "${2-}" "$(command -v "$runtime")" >/etc/docker/daemon.json
  dockerd >$WORK/dockerd.log 2>&1 & daemons+=($!)
  waited "docker info"
  docker import $WORK/image.tar $IMAGE >/dev/null
  options=(--runtime bare)
}
docker_set_up() {
  cp /etc/docker/daemon.json $WORK/before
  plimsoll install docker >$WORK/install.log
  kill -HUP "${daemons[-1]}"   # stands for systemctl reload docker
  waited "docker info --format {{.DefaultRuntime}} | grep -qx plimsoll"
  options=()
}
docker_undo() { plimsoll uninstall docker >>$WORK/install.log; cmp /etc/docker/daemon.json $WORK/before; }
docker_run() { docker run --rm "${options[@]}" --network none -m ${MIB}m --cpus 1 $IMAGE sh -c "$ASK"; }
docker_start() { docker run -d --name cell "${options[@]}" --network none -m ${MIB}m --cpus 1 $IMAGE sleep 100000 >/dev/null; }
docker_pid() { docker inspect -f '{{.State.Pid}}' cell; }
docker_ask() { docker exec cell sh -c "$1"; }
docker_limit() { docker update -m "$1m" --memory-swap "$1m" cell >/dev/null; }
docker_again() { docker restart -t 0 cell >/dev/null; }
docker_down() { docker rm -f cell >/dev/null 2>&1 || true; }
docker_name() { echo "docker $(dockerd --version | sed 's/.*version \([0-9.]*\).*/\1/')"; }
