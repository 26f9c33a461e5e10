# Completion of cavactl for fish: cavactl itself says what may come next.
#
# SPDX-License-Identifier: GPL-3.0-or-later

function __cavactl_complete
    set -l words (commandline -opc)[2..-1] (commandline -ct)
    set -l answers (cavactl complete -- $words 2>/dev/null)
    if test "$answers[1]" = ":files"
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $answers
    end
end

complete -c cavactl -f -a '(__cavactl_complete)'
