# Completion of cavactl for bash: cavactl itself says what may come next.
#
# SPDX-License-Identifier: GPL-3.0-or-later

_cavactl()
{
	local IFS=$'\n' current=${COMP_WORDS[COMP_CWORD]} i

	mapfile -t COMPREPLY < <(cavactl complete -- \
		"${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	if [ "${COMPREPLY[0]-}" = ":files" ]; then
		COMPREPLY=()
		compopt -o default
		return
	fi
	for i in "${!COMPREPLY[@]}"; do
		case ${COMPREPLY[i]} in
		--*=)	compopt -o nospace ;;
		--*=*)	# bash takes what is behind = for a word of its own
			COMPREPLY[i]=${COMPREPLY[i]#*=} ;;
		*)	COMPREPLY[i]=$(printf %q "${COMPREPLY[i]}") ;;
		esac
	done
}

complete -F _cavactl cavactl
