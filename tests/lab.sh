#!/bin/bash
# A private smbd, cavad, clamd, and cee_agent or c-icap, for tests and for hand use.
#
# Each lab listens on a loopback address of its own (from the inode of DIR),
# SMB on port 445, so that several run side by side and every client works.
# The module and a few accounts are seen by its processes alone: each is
# started in a mount namespace with our vfs folder, passwd and group over the
# system's. Nothing outside DIR is touched. All is started and stopped by pid.
#
# SPDX-License-Identifier: GPL-3.0-or-later
set -eu

usage()
{
	cat <<'EOF'
usage: tests/lab.sh DIR setup [OPTIONS]   write configuration and accounts
       tests/lab.sh DIR start [PART...]   clamd agent icap cavad smbd; all: none named
       tests/lab.sh DIR stop [PART...]    by SIGTERM, and waits
       tests/lab.sh DIR kill PART...      by SIGKILL, with its children
       tests/lab.sh DIR env               shell variables: eval "$(...)"
       tests/lab.sh DIR log               the logs of all of them
       tests/lab.sh DIR run COMMAND...    with the lab's accounts and module

options of setup:
  --engine cee|icap|clamd|null who scans (cee: cee_agent with clamd;
                               icap: c-icap with clamd)
  --profile standard|strict    when a read waits for a scan
  --servers N                  antivirus servers (1)
  --samba-option 'N = V'       a line in the share; 'global:N = V': in [global]
  --plain                      another share, plain, without the module
  --peer virusfilter           another share, with Samba's own virusfilter
EOF
}

say() { printf 'lab: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
bad() { say "$*"; exit 2; }

[ $# -ge 2 ] || { usage >&2; exit 2; }
[ "$(id -u)" = 0 ] || die "needs root: smbd listens on port 445"
mkdir -p "$1"
DIR=$(cd "$1" && pwd)
VERB=$2
shift 2
ICAP_MODULES=/usr/lib/$(uname -m)-linux-gnu/c_icap
ROOT=$(cd "$(dirname "$0")/.." && pwd)
OUT=$ROOT/build/out
PARTS="clamd agent icap cavad smbd"

address()
{
	i=$(stat -c %i "$DIR")
	printf '127.%d.%d.%d' $((1 + i / 64516 % 254)) $((1 + i / 254 % 254)) \
		$((1 + i % 254))
}

modules()
{
	/usr/sbin/smbd -b | sed -n 's/^ *MODULESDIR: *//p'
}

# --- setup ---

secret() { od -An -N 12 -tx1 /dev/urandom | tr -d ' \n'; }

account()	# NAME UID
{
	printf '%s:x:%d:%d::/nonexistent:/usr/sbin/nologin\n' "$1" "$2" "$2" \
		>> "$DIR/etc/passwd"
	printf '%s:x:%d:\n' "$1" "$2" >> "$DIR/etc/group"
}

# Runs a command where our module and accounts are in place, in a session of
# its own: smbd signals its whole process group when it ends.
within()
{
	exec setsid unshare -m --propagation private bash -c '
		mount --bind "$1/etc/passwd" /etc/passwd
		mount --bind "$1/etc/group" /etc/group
		[ ! -e "$1/vfs/cava.so" ] || mount --bind "$1/vfs" "$2/vfs"
		shift 2
		exec "$@"' bash "$DIR" "$MODULES" "$@"
}

inside() { (within "$@"); }

write_smb_conf()
{
	cat > "$DIR/smb.conf" <<EOF
[global]
	netbios name = CAVALAB
	workgroup = CAVALAB
	server role = standalone server
	interfaces = $ADDRESS/8
	bind interfaces only = yes
	smb ports = 445
	disable netbios = yes
	map to guest = never
	registry shares = yes
	passdb backend = tdbsam:$DIR/samba/private/passdb.tdb
	private dir = $DIR/samba/private
	lock directory = $DIR/samba/lock
	state directory = $DIR/samba/state
	cache directory = $DIR/samba/cache
	pid directory = $DIR/samba/pid
	ncalrpc dir = $DIR/samba/ncalrpc
	log file = $DIR/log/smbd.log
	log level = 1
	max log size = 0
	load printers = no
	printcap name = /dev/null
	disable spoolss = yes
$(printf '%s' "$GLOBAL_OPTIONS")

[share]
	path = $DIR/data/share
	read only = no
	vfs objects = cava
	cava:zone = System
	cava:socket = $DIR/run/ipc.sock
	cava:spool = $DIR/cavad/spool
	cava:filters = $DIR/cavad/state/filters
$(printf '%s' "$SHARE_OPTIONS")
EOF
	if [ "$PLAIN" = yes ]; then
		mkdir -p -m 777 "$DIR/data/plain"
		chmod 777 "$DIR/data/plain"
		printf '\n[plain]\n\tpath = %s\n\tread only = no\n' \
			"$DIR/data/plain" >> "$DIR/smb.conf"
	fi
	if [ "$PEER" = virusfilter ]; then
		mkdir -p -m 777 "$DIR/data/virusfilter"
		chmod 777 "$DIR/data/virusfilter"
		cat >> "$DIR/smb.conf" <<EOF

[virusfilter]
	path = $DIR/data/virusfilter
	read only = no
	vfs objects = virusfilter
	virusfilter:scanner = clamav
	virusfilter:socket path = $DIR/clamd/clamd.sock
	virusfilter:scan on open = yes
	virusfilter:io timeout = 600000
	virusfilter:scan on close = yes
	virusfilter:infected file action = nothing
EOF
	fi
}

write_clamd()
{
	"$ROOT/tests/clamd_db.py" "$DIR/clamd/db"
	cat > "$DIR/clamd/clamd.conf" <<EOF
Foreground yes
LocalSocket $DIR/clamd/clamd.sock
LocalSocketMode 666
FixStaleSocket yes
DatabaseDirectory $DIR/clamd/db
OfficialDatabaseOnly no
PidFile $DIR/clamd/clamd.pid
MaxThreads 20
AlertExceedsMax yes
User root
EOF
}

write_agent()	# INDEX
{
	cat > "$DIR/agent$1.conf" <<EOF
[agent]
listen = $ADDRESS:$((12228 + $1))
clamd = $DIR/clamd/clamd.sock
allow = 127.0.0.0/8

[storage lab]
host = $ADDRESS
user = avuser
password_file = $DIR/avuser.password
EOF
}

write_icap()	# INDEX
{
	mkdir -p "$DIR/icap$1"
	cat > "$DIR/icap$1/c-icap.conf" <<EOF
PidFile $DIR/icap$1/pid
CommandsSocket $DIR/icap$1/ctl
Port $ADDRESS:$((1344 + $1))
User root
Group root
StartServers 1
MaxServers 1
ThreadsPerChild 20
MinSpareThreads 1
MaxSpareThreads 20
KeepAliveTimeout 600
MaxKeepAliveRequests 100
TmpDir $DIR/icap$1
DebugLevel 1
ModulesDir $ICAP_MODULES
ServicesDir $ICAP_MODULES
LoadMagicFile /etc/c-icap/c-icap.magic
ServerLog $DIR/log/icap$1.server.log
AccessLog $DIR/log/icap$1.access.log
Module common clamd_mod.so
clamd_mod.ClamdSocket $DIR/clamd/clamd.sock
Service antivirus_module virus_scan.so
ServiceAlias avscan virus_scan?allow204=on&sizelimit=off&mode=simple
virus_scan.DefaultEngine clamd
virus_scan.ScanFileTypes TEXT DATA EXECUTABLE ARCHIVE GIF JPEG MSOFFICE DOCUMENT GRAPHICS STREAM
virus_scan.MaxObjectSize 100M
EOF
}

write_cavad()
{
	cat > "$DIR/cavad.conf" <<EOF
[settings]
user = labcavad
check_root = $DIR/data
ip_pool = $ADDRESS
ipc_socket = $DIR/run/ipc.sock
api_socket = $DIR/run/api.sock
state_dir = $DIR/cavad/state
spool_dir = $DIR/cavad/spool

[filter System]
scan_profile = $PROFILE
EOF
	i=0
	while [ $i -lt "$SERVERS" ]; do
		case $ENGINE in
		cee) uri=cee://$ADDRESS:$((12228 + i))/vee ;;
		icap) uri=icap://$ADDRESS:$((1344 + i))/avscan ;;
		clamd) uri=clamd:$DIR/clamd/clamd.sock ;;
		null) uri=null: ;;
		esac
		printf '\n[server av%d]\nserver_uri = %s\n' $i "$uri" \
			>> "$DIR/cavad.conf"
		i=$((i + 1))
	done
}

setup_options()
{
	ENGINE=cee PROFILE=standard SERVERS=1 PLAIN=no PEER=none
	GLOBAL_OPTIONS= SHARE_OPTIONS=
	while [ $# -gt 0 ]; do
		case $1 in
		--plain) PLAIN=yes; shift; continue ;;
		--engine|--profile|--servers|--samba-option|--peer) ;;
		*) bad "unknown option $1" ;;
		esac
		[ $# -ge 2 ] || bad "$1 needs a value"
		case $1=$2 in
		--engine=cee|--engine=icap|--engine=clamd|--engine=null)
			ENGINE=$2 ;;
		--profile=standard|--profile=strict) PROFILE=$2 ;;
		--servers=[1-9]|--servers=[1-9][0-9]) SERVERS=$2 ;;
		--samba-option=global:*=*)
			GLOBAL_OPTIONS="$GLOBAL_OPTIONS	${2#global:}
" ;;
		--samba-option=*=*)
			SHARE_OPTIONS="$SHARE_OPTIONS	$2
" ;;
		--peer=virusfilter) PEER=virusfilter ;;
		*) bad "$1 $2: see tests/lab.sh for what is accepted" ;;
		esac
		shift 2
	done
}

setup()
{
	setup_options "$@"
	ADDRESS=$(address)
	MODULES=$(modules)
	chmod 711 "$DIR"
	mkdir -p "$DIR"/{etc,log,run,clamd,cavad,vfs,data} \
		"$DIR"/samba/{private,lock,state,cache,pid,ncalrpc}
	chmod 700 "$DIR/samba/private"
	mkdir -p -m 777 "$DIR/data/share"
	chmod 777 "$DIR/data/share"

	cp /etc/passwd /etc/group "$DIR/etc/"
	account labuser 61001
	account avuser 61002
	account labcavad 61003
	for u in labuser avuser; do
		(umask 077; secret > "$DIR/$u.password")
	done
	cp "$MODULES"/vfs/*.so "$DIR/vfs/"
	cp "$OUT/cava.so" "$DIR/vfs/cava.so" 2>/dev/null ||
		die "no module: run ./waf build first"

	write_smb_conf
	write_clamd
	write_cavad
	i=0
	while [ $i -lt "$SERVERS" ]; do
		case $ENGINE in
		cee) write_agent $i ;;
		icap) write_icap $i ;;
		esac
		i=$((i + 1))
	done
	for u in labuser avuser; do
		p=$(cat "$DIR/$u.password")
		printf '%s\n%s\n' "$p" "$p" | inside smbpasswd \
			-c "$DIR/smb.conf" -s -a "$u" > "$DIR/log/setup.log" \
			2>&1 || { cat "$DIR/log/setup.log" >&2; exit 1; }
	done
	cat > "$DIR/lab" <<EOF
ADDRESS=$ADDRESS
MODULES=$MODULES
ENGINE=$ENGINE
SERVERS=$SERVERS
PEER=$PEER
EOF
	inside "$OUT/bin/cavad" -c "$DIR/cavad.conf" --setup-share \
		--smb-conf "$DIR/smb.conf" >> "$DIR/log/setup.log" 2>&1 ||
		{ cat "$DIR/log/setup.log" >&2; die "cavad --setup-share failed"; }
}

# --- processes ---

alive()		# NAME: prints its pid
{
	[ -e "$DIR/run/$1.pid" ] || return 1
	pid=$(cat "$DIR/run/$1.pid")
	kill -0 "$pid" 2>/dev/null || return 1
	printf '%s' "$pid"
}

launch()	# NAME COMMAND...
{
	name=$1
	shift
	alive "$name" > /dev/null && return
	within "$@" < /dev/null >> "$DIR/log/$name.log" 2>&1 &
	echo $! > "$DIR/run/$name.pid"
	disown
}

await()		# NAME WHAT COMMAND...
{
	name=$1 what=$2
	shift 2
	n=0
	until "$@" > /dev/null 2>&1; do
		alive "$name" > /dev/null || {
			tail -20 "$DIR/log/$name.log" >&2
			die "$name has ended; its log is above"; }
		n=$((n + 1))
		[ $n -lt 600 ] || die "$name: no $what after 30 s"
		sleep 0.05
	done
}

clamd_answers()
{
	/usr/bin/python3 - "$DIR/clamd/clamd.sock" <<'EOF'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"zPING\0")
sys.exit(s.recv(16) != b"PONG\0")
EOF
}

status()
{
	curl -sf --max-time 5 --unix-socket "$DIR/run/api.sock" \
		http://cavad/platform/11/avscan/nodes/local/status
}

servers_online()
{
	[ "$(status | jq '[.nodes[0].status.server_status[] |
		select(.server_state == "online")] | length')" -ge "$SERVERS" ]
}

port_open() { (exec 3<> "/dev/tcp/$ADDRESS/${1-445}"); }

start_part()
{
	case $1 in
	clamd)
		[ "$ENGINE" != null ] || [ "$PEER" = virusfilter ] || return 0
		launch clamd clamd -c "$DIR/clamd/clamd.conf"
		await clamd "answer to PING" clamd_answers
		;;
	agent)
		i=0
		while [ "$ENGINE" = cee ] && [ $i -lt "$SERVERS" ]; do
			# killed, it leaves its folder there
			launch agent$i env RUNTIME_DIRECTORY="$DIR/run" \
				"$OUT/bin/cee_agent" -d -c "$DIR/agent$i.conf"
			await agent$i "answer" curl -sf --max-time 5 \
				"http://$ADDRESS:$((12228 + i))/vee"
			i=$((i + 1))
		done
		;;
	icap)
		i=0
		while [ "$ENGINE" = icap ] && [ $i -lt "$SERVERS" ]; do
			launch icap$i c-icap -N -D -f \
				"$DIR/icap$i/c-icap.conf"
			await icap$i "ICAP port" port_open $((1344 + i))
			i=$((i + 1))
		done
		;;
	cavad)
		launch cavad "$OUT/bin/cavad" -f -c "$DIR/cavad.conf"
		await cavad "status over the API" status
		[ -e "$DIR/run/avvendor" ] || {
			"$OUT/bin/cavactl" --socket "$DIR/run/api.sock" avvendor \
				add avuser > /dev/null
			touch "$DIR/run/avvendor"; }
		;;
	smbd)
		# LAB_SMBD_UNDER: words in front of it, e.g. of valgrind
		launch smbd ${LAB_SMBD_UNDER-} /usr/sbin/smbd -F \
			--no-process-group -s "$DIR/smb.conf"
		await smbd "SMB port" port_open
		;;
	*) bad "unknown part $1: $PARTS" ;;
	esac
}

start()
{
	all=$#
	[ $# -gt 0 ] || set -- $PARTS
	for part in "$@"; do
		start_part "$part"
	done
	[ "$all" != 0 ] || await cavad "server online" servers_online
}

pids_of()	# PART: names of pid files
{
	case $1 in
	agent|icap) for f in "$DIR/run/$1"*.pid; do
			[ ! -e "$f" ] || basename "$f" .pid
		done ;;
	clamd|cavad|smbd) echo "$1" ;;
	*) bad "unknown part $1: $PARTS" ;;
	esac
}

descendants()	# PID
{
	for child in $(cat /proc/"$1"/task/*/children 2>/dev/null || true); do
		echo "$child"
		descendants "$child"
	done
}

gone()		# PID...: all ended?
{
	for pid in "$@"; do
		[ ! -d "/proc/$pid" ] ||
			grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null ||
			return 1
	done
}

end()		# SIGNAL PART...
{
	signal=$1
	shift
	for part in "$@"; do
		for name in $(pids_of "$part"); do
			pid=$(alive "$name") || continue
			family="$pid $(descendants "$pid" | tr '\n' ' ')"
			case $signal in
			KILL) kill -KILL $family 2>/dev/null || true ;;
			*) kill -TERM "$pid" 2>/dev/null || true ;;
			esac
			n=0
			until gone $family; do
				n=$((n + 1))
				if [ $n = 200 ]; then
					say "$name does not end: SIGKILL"
					kill -KILL $family 2>/dev/null || true
				fi
				sleep 0.05
			done
			rm -f "$DIR/run/$name.pid"
		done
		[ "$part" != smbd ] || end_dcerpcd
	done
}

# What smbd has started for RPC, and does not take along.
end_dcerpcd()
{
	pid=$(cat "$DIR/samba/pid/samba-dcerpcd.pid" 2>/dev/null) || return 0
	grep -qzF "$DIR/smb.conf" "/proc/$pid/cmdline" 2>/dev/null || return 0
	family="$pid $(descendants "$pid" | tr '\n' ' ')"
	kill -TERM $family 2>/dev/null || true
	n=0
	until gone $family; do
		n=$((n + 1))
		[ $n != 100 ] || kill -KILL $family 2>/dev/null || true
		sleep 0.05
	done
}

print_env()
{
	pids=
	for f in "$DIR"/run/*.pid; do
		[ ! -e "$f" ] || pids="$pids $(cat "$f")"
	done
	while read -r name value; do
		printf '%s=%q\n' "$name" "$value"
	done <<EOF
SMB_HOST $ADDRESS
SMB_PORT 445
SMB_USER labuser
SMB_PASS $(cat "$DIR/labuser.password")
SHARE share
SHARE_DIR $DIR/data/share
CHECK_SHARE CHECK\$
AV_USER avuser
AV_PASS $(cat "$DIR/avuser.password")
CAVACTL $OUT/bin/cavactl
API_SOCKET $DIR/run/api.sock
CAVAD_CONF $DIR/cavad.conf
SMB_CONF $DIR/smb.conf
STATE_DIR $DIR/cavad/state
CLAMD_SOCKET $DIR/clamd/clamd.sock
LAB_PIDS ${pids# }
EOF
}

case $VERB in
setup) setup "$@"; exit ;;
start|stop|kill|env|log|run) ;;
*) usage >&2; exit 2 ;;
esac
[ -e "$DIR/lab" ] || die "$DIR: not set up"
. "$DIR/lab"
case $VERB in
start) start "$@" ;;
stop)
	[ $# -gt 0 ] || set -- smbd cavad icap agent clamd
	end TERM "$@"
	;;
kill)
	[ $# -gt 0 ] || bad "kill needs a part: $PARTS"
	end KILL "$@"
	;;
env) print_env ;;
run)
	[ $# -gt 0 ] || bad "run needs a command"
	within "$@"
	;;
log)
	for f in "$DIR"/log/*.log; do
		[ ! -e "$f" ] || sed "s/^/$(basename "$f" .log): /" "$f"
	done
	;;
esac
