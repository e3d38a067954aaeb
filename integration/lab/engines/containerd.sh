# containerd without Kubernetes: ctr names the program of the runtime. ctr has no update, but the real runtime has.
containerd_up() { # RUNTIME
  runtime=$1 program=$(command -v "$1")
  cp /etc/containerd/config.toml $WORK/before
  containerd_begin
  ctr image import --no-unpack $WORK/oci.tar >/dev/null 2>&1 || ctr image import $WORK/oci.tar >/dev/null
}
containerd_begin() { containerd >$WORK/containerd.log 2>&1 & daemons+=($!); waited "ctr version"; }
containerd_set_up() { containerd_renew; program=/usr/bin/plimsoll-runtime; }
containerd_renew() { # stands for systemctl restart containerd, as install says
  plimsoll install containerd >$WORK/install.log
  kill "${daemons[-1]}"; wait "${daemons[-1]}" || true; unset 'daemons[-1]'
  containerd_begin
}
containerd_undo() { plimsoll uninstall containerd >>$WORK/install.log; cmp /etc/containerd/config.toml $WORK/before; }
containerd_new() { ctr run --runc-binary "$program" --memory-limit $((MIB << 20)) --cpus 1 --snapshotter native "$@"; }
containerd_run() { containerd_new --rm $IMAGE once sh -c "$ASK"; }
containerd_start() { containerd_new -d $IMAGE cell sleep 100000; }
containerd_pid() { ctr task ls | awk '$1 == "cell" { print $2 }'; }
containerd_ask() { ctr task exec --exec-id "ask$RANDOM" cell sh -c "$1"; }
containerd_limit() { "$runtime" --root /run/containerd/runc/default update --memory $(($1 << 20)) cell; }
containerd_again() { containerd_end; ctr task start -d cell; }
containerd_end() {
  ctr task kill -s KILL cell && waited "ctr task ls | grep -q 'cell.*STOPPED'"
  ctr task delete cell >/dev/null 2>&1 || true
}
containerd_down() { containerd_end 2>/dev/null; ctr container delete cell 2>/dev/null || true; }
containerd_name() { echo "containerd $(containerd --version | sed 's/[^ ]* [^ ]* \([0-9.]*\).*/\1/')"; }
