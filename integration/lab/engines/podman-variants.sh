# Other kinds of containers of Podman: with a user namespace, with a read-only root, and with a request for the view by
# name (CDI) instead of a hook.
for kind in uidmap readonly cdi; do
  for step in up set_up undo run start pid ask limit again down; do
    eval "${kind}_$step() { podman_$step \"\$@\"; }"
  done
done

uidmap_up() { podman_up "$1"; options=(--uidmap 0:200000:65536 --gidmap 0:200000:65536); }
uidmap_name() { echo "$(podman_name) \`--uidmap\`"; }

readonly_up() { podman_up "$1"; options=(--read-only); }
readonly_name() { echo "$(podman_name) \`--read-only\`"; }

cdi_set_up() { cdi_device; }
cdi_device() { # for Podman and Docker
  plimsoll install cdi >$WORK/install.log
  options+=(--device plimsoll.io/view=container)
}
cdi_undo() { plimsoll uninstall cdi >>$WORK/install.log; [ ! -e /etc/cdi/plimsoll.json ]; }
cdi_name() { echo "$(podman_name) \`--device\` (CDI)"; }
