#!/bin/bash
# Starts a systemd of its own and has it run DIR/units.sh, whose output goes
# to DIR/said: boot.sh DIR STAGE. It has LIMIT seconds for that.
#
# Its root is this machine's, seen through an overlay in memory, with what is
# in STAGE on top, DIR as /work and DIR/srv as /srv. It has its own mounts,
# processes, network, host name and cgroups, and no unit of this machine but
# what systemd itself wants. All of it ends with this script.
#
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu

DIR=$1
STAGE=$2
LIMIT=${LIMIT:-80}
GROUP=$(sed -n 's/^\S* \(\S*\) cgroup2 .*/\1/p' /proc/mounts | head -1)
[ -n "$GROUP" ] || { echo "no cgroup2 is mounted"; exit 1; }
GROUP=$GROUP/cava-test.$$
mkdir "$GROUP"
trap 'find "$GROUP" -depth -type d -exec rmdir {} + || true' EXIT

inside()
{
	R=$1/root
	mkdir "$R" "$1/memory"
	mount -t tmpfs tmpfs "$1/memory"
	mkdir "$1/memory/upper" "$1/memory/work"
	mount -t overlay -o "lowerdir=/,upperdir=$1/memory/upper,$(
		)workdir=$1/memory/work" overlay "$R"
	mount -t proc proc "$R/proc"
	mount -t sysfs -o ro sysfs "$R/sys"
	mount -t tmpfs tmpfs "$R/sys/fs/cgroup"
	umount "$R/sys/fs/cgroup"
	mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
	mount --bind /dev "$R/dev"
	mount -t tmpfs tmpfs "$R/run"
	mount -t tmpfs tmpfs "$R/tmp"
	mkdir -p "$R/work" "$R/srv"
	mount --bind "$1" "$R/work"
	mount --bind "$1/srv" "$R/srv"

	for unit in "$R"/lib/systemd/system/*.{service,mount,automount,swap} \
		"$R"/etc/systemd/system/*; do
		case ${unit##*/} in
		systemd-journald*|dbus*|'*'*) continue ;;
		esac
		rm -rf "$R/etc/systemd/system/${unit##*/}"
		ln -s /dev/null "$R/etc/systemd/system/${unit##*/}"
	done
	rm -rf "$R"/etc/systemd/system/*.wants
	cp -a "$2/." "$R/"
	cat > "$R/etc/systemd/system/units.service" <<'END'
[Unit]
FailureAction=poweroff-force
SuccessAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/bash /work/units.sh
StandardOutput=file:/work/said
StandardError=inherit
END
	printf '[Unit]\nRequires=units.service\n' \
		> "$R/etc/systemd/system/default.target"
	: > "$R/etc/machine-id"
	exec env -i container=other LANG=C PATH=/usr/sbin:/usr/bin:/sbin:/bin \
		chroot "$R" /lib/systemd/systemd --system --show-status=no \
		--log-target=null
}

export -f inside
(
	echo "$BASHPID" > "$GROUP/cgroup.procs"
	exec unshare -m -n -p -u -i -C --fork --kill-child --propagation private \
		timeout -s KILL 60 true
) || { echo "no namespaces"; exit 1; }
(
	echo "$BASHPID" > "$GROUP/cgroup.procs"
	exec timeout -s KILL "$LIMIT" unshare -m -n -p -u -i -C --fork \
		--kill-child=KILL --propagation private bash -euc \
		'inside "$@"' bash "$DIR" "$STAGE"
) || true
