# Podman's containers of other kinds: with a user namespace, with a root that is read-only, and those that ask for the view
# by name (CDI), without a hook.
for kind in uidmap readonly cdi; do
  for step in up set_up undo run start pid ask limit again down; do
    eval "${kind}_$step() { podman_$step \"\$@\"; }"
  done
done

uidmap_up() { podman_up "$1"; options=(--uidmap 0:200000:65536 --gidmap 0:200000:65536); }
# crun enters the bundle's directory as the root of the user namespace, who may not, before any hook of stage createContainer.
uidmap_cannot() {
  uidmap_up "$1" >/dev/null
  mkdir -p $WORK/hooks
  printf '{"version": "1.0.0", "hook": {"path": "/bin/true"}, "when": {"always": true}, "stages": ["createContainer"]}\n' >$WORK/hooks/true.json
  podman_ --hooks-dir $WORK/hooks run --rm "${options[@]}" --network none $IMAGE cat /dev/null >$WORK/error 2>&1 ||
    echo "no: $1 starts none that has a hook of stage createContainer, not even \`/bin/true\`"
}
uidmap_name() { echo "$(podman_name) \`--uidmap\`"; }

readonly_up() { podman_up "$1"; options=(--read-only); }
readonly_name() { echo "$(podman_name) \`--read-only\`"; }

cdi_set_up() { cdi_device; }
cdi_device() { # whoever's containers ask for it
  plimsoll install cdi >$WORK/install.log
  options+=(--device plimsoll.io/view=container)
}
cdi_undo() { plimsoll uninstall cdi >>$WORK/install.log; [ ! -e /etc/cdi/plimsoll.json ]; }
cdi_name() { echo "$(podman_name) \`--device\` (CDI)"; }
