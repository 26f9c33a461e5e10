#!/bin/bash
# Run by the systemd of boot.sh: the README's steps, then cavad.service and
# cee_agent.service at work, then a file's whole way through the smbd of this
# machine, them and clamd. The last line is "all well".
#
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:$PATH
trap 'journalctl --no-pager -o cat -u cavad -u cee_agent | tail -20' EXIT

pid() { systemctl show -p MainPID --value "$1"; }
# await COMMAND...: until it succeeds, for 20 s
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
port_open() { : > /dev/tcp/127.0.0.1/445; }
# another UNIT PID: it runs, and that is another process
another()
{
	[ "$(systemctl is-active "$1")" = active ] && [ "$(pid "$1")" != "$2" ]
}
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
await online

echo "# cavad: rights"
[ "$(caps "$(pid cavad)" | cut -d' ' -f1)" = 0000000000000000 ]
[ "$(ps -o user= -p "$(pid cavad)")" = cavad ]
[ "$(caps "$(pgrep -x cavad-files)")" = "000000001020000e 000000001020000e" ]
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
systemctl kill -s KILL --kill-who=main cavad
tail --pid="$first" -f /dev/null
systemctl restart cavad
[ "$(pid cavad)" != "$first" ]

echo "# cavad: a loop that hangs is killed and started again"
grep -h "Max core file size  *0  *0 " "/proc/$(pid cavad)/limits"
mkdir /run/systemd/system/cavad.service.d
printf '[Service]\nWatchdogSec=2\n' \
	> /run/systemd/system/cavad.service.d/watchdog.conf
systemctl daemon-reload
systemctl restart cavad
first=$(pid cavad)
kill -STOP "$first"
await another cavad "$first"
await online
[ "$(systemctl show -p NRestarts --value cavad)" = 1 ]
cavactl scan --force /srv/file
systemctl stop cavad
[ "$(systemctl show -p Result --value cavad)" = success ]
[ ! -e /run/cavad ]

echo "# cee_agent: rights"
systemd-sysusers cee_agent.conf
secret=$(od -An -N 12 -tx1 /dev/urandom | tr -d ' \n')
install -o cee_agent -m 600 /dev/null /etc/cavad/nas1.password
echo "$secret" > /etc/cavad/nas1.password
sed 's/^host = .*/host = 127.0.0.1/' /etc/cavad/cee_agent.conf.example \
	> /etc/cavad/cee_agent.conf
mkdir /run/clamav
clamd -c /work/clamd.conf
systemctl start cee_agent
[ "$(caps "$(pid cee_agent)")" = "0000000000000000 0000000000000000" ]
[ "$(stat -c %U /run/cee_agent)" = cee_agent ]
curl -fsS http://127.0.0.1:12228/vee
echo
systemctl reload cee_agent
await curl -fsS http://127.0.0.1:12228/status

echo "# a file's whole way"
prefix=$(command -v cavad)
prefix=${prefix%/sbin/cavad}
cp "$prefix/share/doc/vfs_cava/smb.conf.example" /etc/samba/smb.conf
mkdir -m 777 /srv/finance /srv/projects
chmod 777 /srv/finance /srv/projects
for user in alice svc_cava; do
	useradd --system "$user"
	printf '%s\n%s\n' "$secret" "$secret" | smbpasswd -s -a "$user"
done
sed -e 's,^server_uri = .*,server_uri = cee://127.0.0.1:12228/vee,' \
	-e 's/^;ip_pool = .*/ip_pool = 127.0.0.1/' -e '/^\[server av2\]/,/^$/d' \
	/etc/cavad/cavad.conf.example > /etc/cavad/cavad.conf
systemctl start cavad
cavactl avvendor add svc_cava
systemd-run -q --unit=smbd-here smbd -F --no-process-group
await port_open
await online
# client SHARE COMMANDS SAYS
client()
{
	said=$(smbclient "//127.0.0.1/$1" -U "alice%$secret" -c "$2" 2>&1) || true
	grep "$3" <<< "$said" || { echo "$said"; false; }
}
cp /work/eicar /work/clean /tmp
cd /tmp
client finance "put clean; get clean back" "^getting"
cmp clean back
getfattr -n security.cava /srv/finance/clean > /dev/null
client finance "put eicar; get eicar back" NT_STATUS_ACCESS_DENIED
client finance "get eicar back" NT_STATUS_VIRUS_INFECTED
client projects "put eicar" "^putting"
cavactl scan /srv/projects/eicar && false || [ $? = 2 ]
# fields FIELD=VALUE...: cavad has said a line with all of these
fields()
{
	[ "$(journalctl -q -o cat -t cavad "$@" | wc -l)" = 1 ] || {
		journalctl -q -o export -t cavad | grep -a "^CAVA_\|^MESSAGE="
		echo "not one line with $*"; false; }
}
fields CAVA_EVENT=400060108 CAVA_EVENT_NAME=SW_AVSCAN_CAVA_INFECTED \
	CAVA_WHAT=/srv/finance/eicar CAVA_PATH=/srv/finance/eicar \
	CAVA_USER="$(hostname | tr a-z A-Z)\\alice" CAVA_CLIENT=127.0.0.1 \
	CAVA_SHARE=finance CAVA_THREAT=Eicar-Test-Signature.UNOFFICIAL \
	CAVA_SERVER=av1 CAVA_ACTION=denied PRIORITY=3
fields CAVA_EVENT=499000030 CAVA_EVENT_NAME=CAVA_CHANGED CAVA_USER=root \
	CAVA_WHAT="avvendor svc_cava" CAVA_CHANGE=added PRIORITY=5

echo "# written while cavad is away, and then renamed: found by its handle"
systemctl stop cavad
client projects "put clean" "^putting"
mv /srv/projects/clean /srv/projects/moved
[ -n "$(ls /var/spool/cavad)" ]
systemctl start cavad
await getfattr -n security.cava /srv/projects/moved
complaints=$(journalctl -q --no-pager -o cat -p warning -t cee_agent)
[ -z "$complaints" ] || { echo "$complaints"; exit 1; }

systemctl stop cee_agent
[ "$(systemctl show -p Result --value cee_agent)" = success ]
trap - EXIT
echo "all well"
