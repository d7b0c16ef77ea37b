#!/usr/bin/env bash
# Makes Debian packages from what cross/build left: cross/deb.sh [amd64|arm64|armhf…], all three when none is named.
# They go to cross/out/deb. VERSION overrides Cargo.toml's, MAINTAINER the name in the package.
# armhf is built for ARMv6, so that one package runs on every 32-bit Pi from the first on.
set -euo pipefail
source "$(dirname "$0")/settings"
need dpkg-deb "this needs Debian's tools: apt-get install dpkg"

VERSION=${VERSION:-$(sed -n 's/^version = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1)}
[ -n "$VERSION" ] || fail "Cargo.toml names no version" "or say one: VERSION=1.2.3 cross/deb.sh"
MAINTAINER=${MAINTAINER:-Stonechat <packages@stonechat.invalid>}
description=$(sed -n 's/^description = "\(.*\)"$/\1/p' "$ROOT/Cargo.toml" | head -n 1)
description=${description%.}
# The same commit gives the same bytes.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH
umask 022

target_of() {
  local target
  for target in "${TARGETS_ALL[@]}"; do
    if [ "${DEBIAN_ARCH[$target]}" = "$1" ]; then echo "$target" && return; fi
  done
  fail "no target for the architecture \`$1\`" "known: amd64 arm64 armhf"
}

put_files() { # put_files FOLDER BINARY
  local doc=$1/usr/share/doc/stonechat
  install -D -m 755 "$2" "$1/usr/bin/stonechat"
  install -D -m 644 "$CROSS/stonechat.service" "$1/usr/lib/systemd/system/stonechat.service"
  install -D -m 644 "$CROSS/deb/default" "$1/etc/default/stonechat"
  install -D -m 644 "$ROOT/README.md" "$doc/README.md"
  mkdir -p "$doc"
  {
    printf 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: stonechat\n\n'
    printf 'Files: *\nCopyright: the Stonechat authors\nLicense: Expat or Apache-2.0\n\nLicense: Expat\n'
    sed -e 's/^$/./' -e 's/^/ /' "$ROOT/LICENSE-MIT"
    printf '\nLicense: Apache-2.0\n See /usr/share/common-licenses/Apache-2.0.\n'
  } >"$doc/copyright"
  printf 'stonechat (%s) unstable; urgency=medium\n\n  * See the history of the project.\n\n -- %s  %s\n' \
    "$VERSION" "$MAINTAINER" "$(date -R -u -d "@$SOURCE_DATE_EPOCH")" | gzip -9 -n >"$doc/changelog.gz"
}

put_control() { # put_control FOLDER ARCHITECTURE
  local script
  mkdir -p "$1/DEBIAN"
  cat >"$1/DEBIAN/control" <<CONTROL
Package: stonechat
Version: $VERSION
Architecture: $2
Maintainer: $MAINTAINER
Section: net
Priority: optional
Installed-Size: $(du --summarize --apparent-size --block-size=1024 --exclude=DEBIAN "$1" | cut -f 1)
Description: $description
 Stonechat is an XMPP (Jabber) server for a household or a club: one
 process, one database file, little memory; made for small boards.
CONTROL
  echo /etc/default/stonechat >"$1/DEBIAN/conffiles"
  for script in postinst prerm postrm; do install -m 755 "$CROSS/deb/$script" "$1/DEBIAN/$script"; done
  (cd "$1" && find usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
}

[ $# -gt 0 ] || set -- amd64 arm64 armhf
mkdir -p "$OUT/deb"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for architecture in "$@"; do
  target=$(target_of "$architecture")
  binary=$BINARIES/$target/stonechat
  [ -x "$binary" ] || fail "no binary for $architecture" "cross/build $target"
  put_files "$work/$architecture" "$binary"
  put_control "$work/$architecture" "$architecture"
  package=$OUT/deb/stonechat_${VERSION}_$architecture.deb
  dpkg-deb --root-owner-group -Zxz --build "$work/$architecture" "$package" >/dev/null
  printf '%9d  %s\n' "$(stat -c %s "$package")" "$package"
done
