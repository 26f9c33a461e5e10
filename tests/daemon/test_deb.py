"""`./waf deb`: packages that lintian has nothing to say about, then installed,
upgraded, removed and purged under a systemd of its own (boot.sh), in this
machine's root seen through an overlay.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from tree_copy import in_a_copy

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ["cavactl", "cavad", "cee-agent", "samba-vfs-cava"]
OLD = "0.0.9"
BUILD = """set -e
	./waf deb
	cp -a build/deb/*.deb "$DEST/new"
	export DEB_BUILD_OPTIONS=noautodbgsym
	/usr/bin/python3 packaging/deb.py build/deb/stage "$DEST/old" %s
""" % OLD


@pytest.fixture(scope="module")
def base():
    """Packages in `new`, and of an older version in `old`."""
    made = pathlib.Path(tempfile.mkdtemp(prefix="deb."))
    (made / "new").mkdir()
    (made / "old").mkdir()
    in_a_copy(BUILD, made)
    yield made
    shutil.rmtree(made)


def field(package, name):
    return subprocess.run(["dpkg-deb", "-f", package, name], check=True,
                          text=True, stdout=subprocess.PIPE).stdout.strip()


def packages(folder):
    return {field(path, "Package"): path for path in folder.glob("*.deb")}


def test_what_is_built(base):
    symbols = [name + "-dbgsym" for name in NAMES]
    assert sorted(packages(base / "new")) == sorted(NAMES + symbols)
    assert sorted(packages(base / "old")) == NAMES


def test_module_is_for_one_samba_and_one_cavad(base):
    built = packages(base / "new")
    samba = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "samba"],
                           check=True, text=True,
                           stdout=subprocess.PIPE).stdout
    wants = field(built["samba-vfs-cava"], "Depends")
    assert "samba (= %s)" % samba in wants
    assert "cavad (= %s)" % field(built["cavad"], "Version") in wants
    assert re.search(r"\+samba\d", field(built["samba-vfs-cava"], "Version"))


def test_versions_are_those_of_the_programs(base):
    said = subprocess.run([ROOT / "build/out/bin/cavad", "--version"],
                          check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split()[1]
    built = packages(base / "new")
    assert field(built["cavad"], "Version").startswith(said + "+deb")


def test_lintian(base):
    done = subprocess.run(
        ["lintian", "--allow-root", "--tag-display-limit", "0",
         *sorted(map(str, packages(base / "new").values()))],
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert (done.returncode, done.stdout) == (0, "")


def test_life_of_the_packages(base):
    (base / "srv").mkdir(exist_ok=True)
    shutil.copy(ROOT / "tests/daemon/deb.sh", base / "units.sh")
    (base / "cavad.conf").write_text(re.sub(
        r"^server_uri = .*", "server_uri = null:",
        (ROOT / "cavad.conf.example").read_text(), flags=re.M))
    (base / "empty").mkdir(exist_ok=True)
    done = subprocess.run(
        ["bash", str(ROOT / "tests/daemon/boot.sh"), str(base),
         str(base / "empty")], text=True, timeout=95,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=dict(os.environ, LIMIT="90"))
    said = base / "said"
    if not said.exists():
        pytest.skip("no systemd could be started here: %s" % done.stdout)
    assert said.read_text().endswith("\nall well\n"), said.read_text()
