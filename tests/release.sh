#!/bin/bash
# Runs a command of ./waf in another release of Debian: release.sh SUITE
# COMMAND [OPTION...], for `./waf test --release SUITE`.
#
# Its root is made by debootstrap, from this machine's own apt mirrors, and is
# kept below build/release (or $CAVA_RELEASES), with what the command built
# there; what changed in this tree is copied into it each time. The command has its own mounts and
# processes, which end with it, the network and /sys of this machine, and the
# result is its own. Needs root.
#
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
cd "$(dirname "$0")/.."

SUITE=$1
shift
BASE=${CAVA_RELEASES:-$PWD/build/release}
ROOT=$BASE/$SUITE

say() { printf 'release: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# mirror LABEL: where this machine has the packages of Debian from.
mirror()
{
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		"Label: $1" | sort -u | head -1
}

make_root()
{
	debian=$(mirror Debian)
	security=$(mirror Debian-Security)
	[ -n "$debian" ] || die "apt of this machine knows no mirror of Debian"
	log=$BASE/$SUITE.log
	mkdir -p "$BASE"
	rm -rf "$ROOT.new"
	say "making the root of $SUITE, once (a few minutes): $log"
	debootstrap --variant=minbase "$SUITE" \
		"$ROOT.new" "$debian" > "$log" 2>&1 || {
		tail -3 "$log" >&2
		die "the mirror has no $SUITE, or it cannot be reached"
	}
	rm -f "$ROOT.new/etc/apt/sources.list"
	{
		echo "deb $debian $SUITE main"
		[ -z "$security" ] ||
			echo "deb $security $SUITE-security main"
	} > "$ROOT.new/etc/apt/sources.list"
	# It is not there to survive a power failure.
	echo force-unsafe-io > "$ROOT.new/etc/dpkg/dpkg.cfg.d/unsafe"
	mkdir "$ROOT.new/src"
	mv "$ROOT.new" "$ROOT"
}

copy_tree()
{
	git ls-files -z --cached --others --exclude-standard |
		rsync -a --from0 --files-from=- --ignore-missing-args \
		./ "$ROOT/src/"
	# What is no longer here is not there either.
	(cd "$ROOT/src" && find . -path ./build -prune -o -type f -print0) |
		while IFS= read -r -d '' file; do
			[ -e "$file" ] || rm -f "$ROOT/src/$file"
		done
}

inside()
{
	mount --bind "$ROOT" "$ROOT"
	cd "$ROOT"
	mount -t proc proc proc
	mount --rbind /sys sys
	mount --rbind /dev dev
	mount -t tmpfs -o mode=755 tmpfs run
	cp /etc/resolv.conf /etc/hosts etc/
	mkdir -p old
	pivot_root . old
	umount -l old
	cd /src
	exec env -i LANG=C.UTF-8 HOME=/root TERM="${TERM-dumb}" \
		PATH=/usr/sbin:/usr/bin:/sbin:/bin ./waf "$@"
}

[ "$(id -u)" = 0 ] || die "needs root"
[ -d "$ROOT" ] || make_root
copy_tree
export -f inside
export ROOT
exec unshare -m -p -i -u --fork --kill-child --propagation private \
	bash -euc 'inside "$@"' bash "$@"
