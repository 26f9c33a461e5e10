"""Runs waf on a copy of this tree.

In a mount namespace where the copy stands in for the tree: nothing that
others build or read there is touched, and nothing is compiled again.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# $1: an empty folder, $2: what to run in the copy. At the same path, so that
# nothing is compiled again.
IN_A_COPY = """
for try in 1 2 3; do
	rm -rf "$1/tree"
	mkdir -p "$1/tree/build/samba"
	ls -A | grep -vxe build -e .git | xargs cp -at "$1/tree" &&
		cp -a build/out "$1/tree/build" && break
done || exit 1
mount --bind build/samba "$1/tree/build/samba" &&
mount --rbind "$1/tree" . && cd "$PWD" && eval "$2"
"""


def in_a_copy(commands, dest):
    """Shell commands, for which $DEST is dest; fails as they do."""
    with tempfile.TemporaryDirectory(prefix="install.") as copy:
        done = subprocess.run(
            ["unshare", "-m", "--propagation", "private", "bash", "-c",
             IN_A_COPY, "bash", copy, commands], cwd=ROOT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, umask=0o022,
            env=dict(os.environ, DEST=str(dest)))
    assert done.returncode == 0, done.stdout
