#!/usr/bin/env bash
# Installs, upgrades, removes and purges a package in a throw-away root: cross/deb-test.sh [ARCHITECTURE]
# This machine's own packages are not touched: dpkg gets a root and a database of its own, and the package's scripts
# are run from outside with DPKG_ROOT. Without ARCHITECTURE: the machine's.
set -euo pipefail
source "$(dirname "$0")/settings"
need dpkg "this needs Debian's tools"
architecture=${1:-$(dpkg --print-architecture)}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{var/lib/dpkg/{info,updates,triggers},etc,usr/bin}
touch "$root"/var/lib/dpkg/{status,available}

dpkg_there() {
  dpkg --root="$root" --log="$root/var/lib/dpkg/log" --force-not-root --force-script-chrootless --force-architecture \
    --force-bad-path "$@" >"$root/said" 2>&1 || {
    cat "$root/said" >&2
    fail "dpkg $* failed in the throw-away root" "its message is above"
  }
}
state() { dpkg-query --admindir="$root/var/lib/dpkg" --showformat='${db:Status-Abbrev} ${Version}' --show stonechat; }
must() { # must DESCRIPTION TEST…
  local what=$1
  shift
  "$@" || fail "after $stage: $what does not hold" "the root looked so: $(cd "$root" && find . -path ./var/lib/dpkg -prune -o -print | sort | tr '\n' ' ')"
}
package() { # package VERSION: the path of a package of this version, newly made
  VERSION=$1 "$CROSS/deb.sh" "$architecture" >/dev/null
  echo "$OUT/deb/stonechat_$1_$architecture.deb"
}
is_state() { [ "$(state)" = "$1" ]; }
is_enabled() { [ -L "$root/etc/systemd/system/multi-user.target.wants/stonechat.service" ]; }
says() { grep -qx "$2" "$root/$1"; }
lacks() { [ ! -e "$root/$1" ] && [ ! -L "$root/$1" ]; }

old=$(package 0.0.1~test)
new=$(package 0.0.2~test)
trap 'rm -rf "$root" "$old" "$new"' EXIT

stage=install
dpkg_there --install "$old"
must "the version" is_state "ii  0.0.1~test"
for file in usr/bin/stonechat usr/lib/systemd/system/stonechat.service etc/default/stonechat \
  usr/share/doc/stonechat/README.md usr/share/doc/stonechat/copyright usr/share/doc/stonechat/changelog.gz; do
  must "there is /$file" test -s "$root/$file"
done
must "the program may be run" test -x "$root/usr/bin/stonechat"
must "the program is the one that was built" cmp -s "$root/usr/bin/stonechat" \
  <(dpkg --fsys-tarfile "$old" | tar -xO ./usr/bin/stonechat)
must "the unit is enabled" is_enabled
must "checksums fit" dpkg --root="$root" --verify stonechat

stage="an administrator's change and some data"
mkdir -p "$root/var/lib/private/stonechat"
ln -s private/stonechat "$root/var/lib/stonechat"
echo kept >"$root/var/lib/stonechat/stonechat.redb"
echo 'STONECHAT_OPTIONS="--domain example.org"' >"$root/etc/default/stonechat"

stage=upgrade
dpkg_there --install "$new"
must "the version" is_state "ii  0.0.2~test"
must "the administrator's options are kept" says etc/default/stonechat '.*example.org.*'
must "data is kept" says var/lib/stonechat/stonechat.redb kept
must "the unit is enabled" is_enabled

stage="an upgrade after the administrator disabled the unit"
rm "$root/etc/systemd/system/multi-user.target.wants/stonechat.service"
dpkg_there --install "$new"
must "it stays disabled" lacks etc/systemd/system/multi-user.target.wants/stonechat.service

stage=remove
dpkg_there --remove stonechat
must "only settings are left" is_state "rc  0.0.2~test"
must "no program" lacks usr/bin/stonechat
must "no unit" lacks usr/lib/systemd/system/stonechat.service
must "data is kept" says var/lib/stonechat/stonechat.redb kept
must "the administrator's options are kept" says etc/default/stonechat '.*example.org.*'

stage="install after remove"
dpkg_there --install "$new"
must "the version" is_state "ii  0.0.2~test"
must "data is kept" says var/lib/stonechat/stonechat.redb kept
must "the unit is not masked" lacks etc/systemd/system/stonechat.service

stage=purge
dpkg_there --purge stonechat
for file in usr/bin/stonechat usr/share/doc/stonechat etc/default/stonechat var/lib/stonechat var/lib/private/stonechat \
  etc/systemd/system/stonechat.service etc/systemd/system/multi-user.target.wants/stonechat.service; do
  must "no /$file" lacks "$file"
done

if command -v systemd-analyze >/dev/null; then
  stage="reading the unit"
  # Its program is not installed here; all else must be understood.
  complaints=$(systemd-analyze verify "$CROSS/stonechat.service" 2>&1 | grep -v 'is not executable' || true)
  [ -z "$complaints" ] || fail "systemd does not understand the unit" "$complaints"
fi
echo "package for $architecture: install, upgrade, remove, purge as they should be"
