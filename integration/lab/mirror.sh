# Finds the Debian mirror of this host. Sourced by vm.sh and native.sh, which define `die`.
default_mirror() { # VARIABLE: prints the mirror that apt of this host uses; VARIABLE names what sets another one
  local mirror
  mirror=$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' 2>/dev/null |
    awk -v r="$(. /etc/os-release; echo "${VERSION_CODENAME:-}")" '$1 == r { print $2; exit }' || true)
  # Before its first update apt knows its sources, but no targets.
  [ -n "$mirror" ] || mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    awk '$1 == "URIs:" { print $2; exit } $1 == "deb" { for (i = 2; $i ~ /^\[/ || $i ~ /\]$/; i++); print $i; exit }' || true)
  [ -n "$mirror" ] || die "no Debian mirror is known here: set $1"
  echo "${mirror%/}"
}
