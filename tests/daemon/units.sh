#!/bin/bash
# Run by the systemd of boot.sh: the README's steps, then cavad.service and
# cee_agent.service at work. The last line is "all well".
#
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:$PATH
trap 'journalctl --no-pager -o cat -u cavad -u cee_agent | tail -20' EXIT

pid() { systemctl show -p MainPID --value "$1"; }
# caps PID: what it may do, and may ever do
caps() { sed -n 's/^Cap\(Eff\|Bnd\):\t*//p' "/proc/$1/status" | xargs; }

mount --make-rshared /	# as on a machine that is no container
printf '[global]\n\tregistry shares = yes\n' > /etc/samba/smb.conf
while read -r line; do
	echo "# $line"
	eval "$line"
	case $line in
	*cavad.conf.example*) cp /work/cavad.conf /etc/cavad/cavad.conf ;;
	esac
done < /work/readme
until cavactl status | grep -q online; do sleep 0.1; done

echo "# cavad: rights"
[ "$(caps "$(pid cavad)" | cut -d' ' -f1)" = 0000000000000000 ]
[ "$(stat -c %U "/proc/$(pid cavad)")" = cavad ]
[ "$(caps "$(pgrep -x cavad-files)")" = "000000001020000c 000000001020000c" ]
[ "$(stat -c %a:%U /var/spool/cavad /var/lib/cavad | xargs)" = \
	"700:root 700:cavad" ]

echo "# cavad: scans"
echo harmless > /srv/file
cavactl scan /srv/file
getfattr -n security.cava /srv/file > /dev/null
mkdir /srv/later
mount -t tmpfs tmpfs /srv/later	# since it was started
echo harmless > /srv/later/file
cavactl scan /srv/later/file
complaints=$(journalctl -q --no-pager -o cat -p warning -t cavad)
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }

echo "# cavad: reload, kill, restart"
systemctl reload cavad
first=$(pid cavad)
pidwait -x cavad &
systemctl kill -s KILL --kill-who=main cavad
wait $!
systemctl restart cavad
[ "$(pid cavad)" != "$first" ]
cavactl scan --force /srv/file
systemctl stop cavad
[ "$(systemctl show -p Result --value cavad)" = success ]
[ ! -e /run/cavad ]

echo "# cee_agent"
systemd-sysusers cee_agent.conf
echo secret > /etc/cavad/nas1.password
chown cee_agent /etc/cavad/nas1.password
chmod 600 /etc/cavad/nas1.password
cp /etc/cavad/cee_agent.conf.example /etc/cavad/cee_agent.conf
systemctl start cee_agent
[ "$(caps "$(pid cee_agent)")" = "0000000000000000 0000000000000000" ]
[ "$(stat -c %U /run/cee_agent)" = cee_agent ]
curl -fsS http://127.0.0.1:12228/vee
echo
systemctl stop cee_agent
[ "$(systemctl show -p Result --value cee_agent)" = success ]
trap - EXIT
echo "all well"
