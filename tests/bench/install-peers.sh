#!/bin/sh
# Installs the servers Stonechat is compared with, from Debian, for the benchmark only: their system services are
# neither started nor enabled. The benchmark runs them itself, on loopback ports, with data in a temporary directory.
set -eu

if [ "$(id -u)" -ne 0 ]; then
  echo "install-peers.sh: must be root (it installs packages)" >&2
  exit 1
fi

# The SQLite bindings are for `--servers prosody-sqlite,ejabberd-sqlite`; util-linux has taskset and setpriv.
packages="prosody lua-dbi-sqlite3 ejabberd erlang-p1-sqlite3 util-linux"

# invoke-rc.d asks this file before it starts a service; 101 means "not allowed".
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  made_policy=yes
fi
clean_up() {
  if [ "$made_policy" = yes ]; then
    rm -f "$policy"
  fi
}
trap clean_up EXIT INT TERM

was_installed() {
  dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}
fresh=""
for service in prosody ejabberd; do
  was_installed "$service" || fresh="$fresh $service"
done

apt-get update -qq
# shellcheck disable=SC2086  # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages

# A service that was here before stays as its owner had it.
if [ -d /run/systemd/system ]; then
  for service in $fresh; do
    systemctl disable --now "$service" || true
  done
fi

dpkg-query -W prosody ejabberd
