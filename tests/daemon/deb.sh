#!/bin/bash
# Run by the systemd of boot.sh: the packages' life on a machine. Those of
# /work/old are installed, set up as they say themselves, upgraded to those of
# /work/new, removed and purged. The last line is "all well".
#
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
trap 'journalctl --no-pager -o cat -u cavad -u smbd | tail -20' EXIT
export DEBIAN_FRONTEND=noninteractive

pid() { systemctl show -p MainPID --value "$1"; }
await()
{
	for _ in {1..200}; do
		! "$@" 2> /dev/null || return 0
		sleep 0.1
	done
	echo "in vain: $*"
	false
}
online() { cavactl status | grep -q online; }
# fails COMMAND...: `! COMMAND` is not seen by -e
fails() { if "$@" > /dev/null 2>&1; then echo "not failed: $*"; false; fi; }
# says WORD... : in what dpkg printed last
says() { grep -qe "$*" /tmp/dpkg || { cat /tmp/dpkg; echo "no: $*"; false; }; }
dpkg_does() { dpkg --force-unsafe-io "$@" > /tmp/dpkg 2>&1 || {
	cat /tmp/dpkg; false; }; }
# both OLD|NEW: all four packages are of that version
both()
{
	for package in cavad cavactl cee-agent samba-vfs-cava; do
		version=$(dpkg-query -W -f '${Status} ${Version}' $package)
		case $version in
		"install ok installed $1+deb"*) ;;
		*) echo "$package: $version"; false ;;
		esac
	done
}

# Of this machine, that here is only seen through.
rm -f /usr/sbin/policy-rc.d /var/lib/man-db/auto-update
rm /etc/systemd/system/smbd.service
rm -rf /etc/cavad /var/lib/cavad /var/spool/cavad
systemctl daemon-reload
mount --make-rshared /
cat > /etc/samba/smb.conf <<'END'
[global]
	registry shares = yes
[data]
	path = /srv
	vfs objects = cava
END

echo "# install: nothing is started, and it says what to do"
dpkg_does -i /work/old/*.deb
both 0.0.9
says "cavad is not started: it has no configuration yet"
says "cee_agent is not started: it has no configuration yet"
says "vfs objects = cava"
for unit in cavad cee_agent; do
	[ "$(systemctl is-active $unit)" = inactive ]
	[ "$(systemctl is-enabled $unit)" = disabled ]
	id $unit > /dev/null
done
[ "$(stat -c %a:%U /var/spool/cavad /var/lib/cavad | xargs)" = \
	"700:root 700:cavad" ]
systemctl start smbd

echo "# what it says leads to a running cavad"
sed -n '/^cavad is not started/,/^[^ ]/{s/^  sudo //p}' \
	/tmp/dpkg > /tmp/steps
[ "$(wc -l < /tmp/steps)" = 4 ]
while read -r line; do
	echo "# $line"
	eval "$line"
	case $line in cp*) cp /work/cavad.conf /etc/cavad/ ;; esac
done < /tmp/steps
await online
net conf listshares | grep -qx 'CHECK\$'
cavactl avvendor add nobody
echo harmless > /srv/file
cavactl scan /srv/file

echo "# upgrade: cavad and smbd are new, what they know is not"
cavad=$(pid cavad)
smbd=$(pid smbd)
before=$(md5sum /etc/cavad/cavad.conf)
dpkg_does -i /work/new/{cavad_,cavactl_,cee-agent_,samba-vfs-cava_}*.deb
both 0.1
[ "$(pid cavad)" != "$cavad" ]
[ "$(pid smbd)" != "$smbd" ]
[ "$(systemctl is-active cavad smbd | xargs)" = "active active" ]
[ "$(systemctl is-enabled cavad)" = enabled ]
[ "$(systemctl is-active cee_agent)" = inactive ]
[ "$(md5sum /etc/cavad/cavad.conf)" = "$before" ]
await online
cavactl avvendor list | grep nobody

echo "# a configuration that does not do is told"
echo "nonsense = 1" >> /etc/cavad/cavad.conf
dpkg_does -i /work/new/cavad_*.deb
says nonsense
says "cavad cannot start with its configuration"
sed -i '$d' /etc/cavad/cavad.conf
systemctl restart cavad

echo "# remove: told which shares are closed now; what was known stays"
touch /var/spool/cavad/owed
dpkg_does -r samba-vfs-cava cavad cavactl cee-agent
says "Nobody can connect to these shares .*\[data\]"
fails systemctl cat cavad
fails pgrep -x cavad
[ -e /etc/cavad/cavad.conf ] && [ -e /var/lib/cavad/data.mdb ]
[ -e /var/spool/cavad/owed ]
for gone in /usr/sbin/cavad /usr/bin/cavactl /usr/sbin/cee_agent; do
	[ ! -e $gone ]
done

echo "# purge: it does not stay, but Samba's share and the verdicts do"
dpkg_does -P samba-vfs-cava cavad cavactl cee-agent
says "net conf delshare"
for gone in /etc/cavad /var/lib/cavad /var/spool/cavad; do
	[ ! -e $gone ] || { ls -la $gone; false; }
done
net conf listshares | grep -qx 'CHECK\$'
getfattr -n security.cava /srv/file > /dev/null
[ -z "$(dpkg --audit)" ]
trap - EXIT
echo "all well"
