#!/bin/bash
# The story of one file, on this machine, with real parts: smbd, cavad,
# cee_agent and clamd on loopback in a private directory. Each step is
# checked; exit status 1 when one fails.
#
# SPDX-License-Identifier: GPL-3.0-or-later
set -u
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "the demo starts smbd: run it as root" >&2; exit 1; }

LAB=$(mktemp -d /tmp/cava-demo.XXXXXX)
FAILED=0
if [ -t 1 ]; then
	BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' GREEN=$'\e[32m' PLAIN=$'\e[0m'
else
	BOLD='' DIM='' RED='' GREEN='' PLAIN=''
fi

cleanup()
{
	tests/lab.sh "$LAB" stop > /dev/null 2>&1
	rm -rf "$LAB"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

title() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
shown() { printf '  %s$ %s%s\n' "$DIM" "$*" "$PLAIN"; }
quote() { sed 's/^/    /'; }
good() { printf '  %s✓%s %s\n' "$GREEN" "$PLAIN" "$*"; }
wrong() { printf '  %s✗%s %s\n' "$RED" "$PLAIN" "$*"; FAILED=1; }

expect()	# WHAT TEXT-THAT-MUST-BE-THERE
{
	case $OUTPUT in
	*"$2"*) good "$1" ;;
	*) wrong "$1 (expected: $2)"; printf '%s\n' "$OUTPUT" | quote ;;
	esac
}

reject()	# WHAT TEXT-THAT-MUST-NOT-BE-THERE
{
	case $OUTPUT in
	*"$2"*) wrong "$1 (found: $2)"; printf '%s\n' "$OUTPUT" | quote ;;
	*) good "$1" ;;
	esac
}

smb()		# SHARE COMMANDS
{
	shown "smbclient //$SMB_HOST/$1 -U $SMB_USER -c '$2'"
	OUTPUT=$(cd "$LAB/hand" && smbclient -s /dev/null "//$SMB_HOST/$1" \
		-U "$SMB_USER%$SMB_PASS" -c "$2" 2>&1)
	printf '%s\n' "$OUTPUT" | grep -v '^$' | tail -3 | quote
}

smb_av()
{
	shown "smbclient //$SMB_HOST/$1 -U $AV_USER -c '$2'"
	OUTPUT=$(cd "$LAB/hand" && smbclient -s /dev/null "//$SMB_HOST/$1" \
		-U "$AV_USER%$AV_PASS" -c "$2" 2>&1)
	printf '%s\n' "$OUTPUT" | grep -v '^$' | tail -3 | quote
}

ctl()
{
	shown "cavactl $*"
	OUTPUT=$("$CAVACTL" --socket "$API_SOCKET" "$@" 2>&1)
	CODE=$?
	printf '%s\n' "$OUTPUT" | quote
}

title "Starting smbd, cavad, cee_agent and clamd in $LAB"
mkdir -p "$LAB/hand"
tests/lab.sh "$LAB" setup --engine cee --profile strict || exit 1
tests/lab.sh "$LAB" start || exit 1
eval "$(tests/lab.sh "$LAB" env)"
good "all of them answer; SMB is on $SMB_HOST"

title "1. A clean file is put and read back"
echo "quarterly figures" > "$LAB/hand/report.txt"
smb share 'put report.txt; get report.txt back.txt'
OUTPUT=$(cat "$LAB/hand/back.txt" 2>&1)
expect "the same bytes came back" "quarterly figures"
shown "getfattr -n security.cava $SHARE_DIR/report.txt"
OUTPUT=$(getfattr --absolute-names -e text -n security.cava \
	"$SHARE_DIR/report.txt" 2>&1)
printf '%s\n' "$OUTPUT" | tr -cd '[:print:]\n' | cut -c1-70 | quote
expect "the verdict is on the file: the next read asks nobody" ClamAV

title "2. EICAR is put; its read is denied"
printf '%s%s' 'X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-' \
	'ANTIVIRUS-TEST-FILE!$H+H*' > "$LAB/hand/invoice.exe"
smb share 'put invoice.exe; get invoice.exe back.exe'
expect "the first reader waited for the verdict and was denied" \
	NT_STATUS_ACCESS_DENIED
smb share 'get invoice.exe back.exe'
expect "known now: Windows shows its virus message" NT_STATUS_VIRUS_INFECTED
shown "tests/lab.sh $LAB log | grep invoice.exe"
OUTPUT=$(tests/lab.sh "$LAB" log | grep invoice.exe | grep -i eicar)
printf '%s\n' "$OUTPUT" | tail -2 | quote
expect "the log names the user" "$SMB_USER"
expect "the client's address" "127."
expect "and the threat" "Eicar-Test-Signature"

title "3. The same file by hand"
ctl scan "$SHARE_DIR/invoice.exe"
expect "infected" "Eicar-Test-Signature"
[ "$CODE" = 2 ] && good "exit status 2 tells a script" || wrong "exit status $CODE"

title "4. The hidden share"
shown "smbclient -L $SMB_HOST -U $SMB_USER"
OUTPUT=$(smbclient -s /dev/null -L "$SMB_HOST" -U "$SMB_USER%$SMB_PASS" 2>&1)
printf '%s\n' "$OUTPUT" | grep Disk | quote
reject "$CHECK_SHARE does not show in the list" 'CHECK$'
smb "$CHECK_SHARE" 'ls'
expect "an ordinary user cannot enter it" "tree connect failed"
echo "nobody asked to scan this" > "$SHARE_DIR/private.txt"
smb_av "$CHECK_SHARE" 'get share\private.txt stolen.txt'
expect "the AVVendor account can, and still reads no file that nobody asked to scan" \
	NT_STATUS_ACCESS_DENIED

title "5. clamd is stopped: open_on_fail decides"
tests/lab.sh "$LAB" stop clamd
echo "new 1" > "$SHARE_DIR/new1.txt"
smb share 'get new1.txt new1.txt'
OUTPUT=$(cat "$LAB/hand/new1.txt" 2>&1)
expect "yes: the reader goes on, the file stays unscanned" "new 1"
tests/lab.sh "$LAB" stop cavad
sed -i '/^\[filter System\]/a open_on_fail = no' "$LAB/cavad.conf"
shown "open_on_fail = no"
tests/lab.sh "$LAB" start cavad
echo "new 2" > "$SHARE_DIR/new2.txt"
smb share 'get new2.txt new2.txt'
expect "no: it is denied" NT_STATUS_ACCESS_DENIED
smb share 'get report.txt again.txt'
OUTPUT=$(cat "$LAB/hand/again.txt" 2>&1)
expect "what has a verdict is read all the same" "quarterly figures"
tests/lab.sh "$LAB" start clamd
# the agent says that clamd is back in its next heartbeat, 10 s at most
shown "smbclient ... get new2.txt      (until clamd is back)"
for _ in $(seq 60); do
	smbclient -s /dev/null "//$SMB_HOST/share" -U "$SMB_USER%$SMB_PASS" \
		-c "get new2.txt $LAB/hand/new2.txt" > /dev/null 2>&1 && break
	sleep 0.5
done
OUTPUT=$(cat "$LAB/hand/new2.txt" 2>&1)
expect "with clamd back it is scanned and read" "new 2"

title "6. How it stands"
ctl status
expect "the server is online" online
expect "its antivirus is named" ClamAV
expect "and how old its signatures are" "$(date +%Y-%m-%d)"

if [ $FAILED = 0 ]; then
	title "${GREEN}All of it worked.${PLAIN}"
else
	title "${RED}Something above did not work.${PLAIN} The logs:"
	tests/lab.sh "$LAB" log | tail -60
fi
cat <<EOF

By hand, as long as you like:
  sudo tests/lab.sh /tmp/lab setup --engine cee --profile strict
  sudo tests/lab.sh /tmp/lab start
  eval "\$(sudo tests/lab.sh /tmp/lab env)"
  smbclient //\$SMB_HOST/\$SHARE -U "\$SMB_USER%\$SMB_PASS"
  sudo tests/lab.sh /tmp/lab stop
On this machine for good:
  sudo ./waf install          then smb.conf.example and cavad.conf.example
EOF
exit $FAILED
