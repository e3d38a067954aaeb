# Containers of Docker that ask for the view by name (CDI), with a runtime that is not Plimsoll's.
for step in undo run start pid ask limit again down; do
  eval "docker_cdi_$step() { docker_$step \"\$@\"; }"
done
docker_cdi_cannot() {
  [ "$(dockerd --version | sed 's/.*version \([0-9]*\).*/\1/')" -ge 25 ] || echo "no: Docker knows CDI since 25"
}
docker_cdi_up() { docker_up "$1" '"features": {"cdi": true},'; }
docker_cdi_set_up() { cdi_device; }
docker_cdi_undo() { cdi_undo; }
docker_cdi_name() { echo "$(docker_name) \`--device\` (CDI)"; }
