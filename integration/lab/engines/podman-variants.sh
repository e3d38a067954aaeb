# Podman's containers of other kinds: with a user namespace, with a root that is read-only, and those that ask for the view
# by name (CDI), without a hook.
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
cdi_device() { # whoever's containers ask for it
  plimsoll install cdi >$WORK/install.log
  options+=(--device plimsoll.io/view=container)
}
cdi_undo() { plimsoll uninstall cdi >>$WORK/install.log; [ ! -e /etc/cdi/plimsoll.json ]; }
cdi_name() { echo "$(podman_name) \`--device\` (CDI)"; }
