"""`./waf install` into a folder, what was installed at work, `uninstall`.

The units run under a systemd of their own (boot.sh) where the machine can
start one.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile

import pytest

from tree_copy import in_a_copy as waf

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "out"
EICAR = (rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-"
         rb"TEST-FILE!$H+H*")
CACHE = (OUT / "c4che" / "_cache.py").read_text()
PREFIX, MODULES = (
    re.search(r"^%s = '/(.*)'$" % name, CACHE, re.M).group(1)
    for name in ("PREFIX", "MODULESDIR"))
UNITS = PREFIX + "/lib/systemd/system"
DOC = PREFIX + "/share/doc/vfs_cava"


@pytest.fixture(scope="module")
def stage():
    # not pytest's tmp_path: another account goes there
    base = pathlib.Path(tempfile.mkdtemp(prefix="install."))
    base.chmod(0o755)
    waf('./waf install --destdir="$DEST"', base / "dest")
    yield base / "dest"
    shutil.rmtree(base)


def files(top):
    return {str(p.relative_to(top)): oct(stat.S_IMODE(p.lstat().st_mode))
            for p in top.rglob("*") if not p.is_dir()}


def expected():
    some = ["etc/cavad/cavad.conf.example", "etc/cavad/cee_agent.conf.example",
            "etc/apparmor.d/cavad", "etc/apparmor.d/cee_agent",
            UNITS + "/cavad.service", UNITS + "/cee_agent.service",
            PREFIX + "/lib/sysusers.d/cavad.conf",
            PREFIX + "/lib/sysusers.d/cee_agent.conf",
            PREFIX + "/lib/tmpfiles.d/cavad.conf",
            PREFIX + "/share/bash-completion/completions/cavactl",
            PREFIX + "/share/zsh/site-functions/_cavactl",
            PREFIX + "/share/fish/vendor_completions.d/cavactl.fish"]
    some += ["%s/%s" % (DOC, name) for name in (
        "COPYING", "HACKING.md", "NEWS.md", "README.md", "SECURITY.md",
        "cavad.conf.example", "cee_agent.conf.example", "smb.conf.example")]
    some += ["%s/%s" % (DOC, p.name) for p in (ROOT / "docs").glob("*.md")]
    some += ["%s/share/cavad/%s" % (PREFIX, p.relative_to(ROOT))
             for p in (ROOT / "web").rglob("*.*")]
    some += [PREFIX + "/share/cavad/web/chart.min.js"]
    some += [DOC + "/monitoring/cavad.json", DOC +
             "/monitoring/cavad.rules.yml"]
    some += ["%s/share/man/man%s/%s" % (PREFIX, p.suffix[1:], p.name)
             for p in (ROOT / "docs/man").glob("*.[158]")]
    programs = [PREFIX + "/sbin/cavad", PREFIX + "/bin/cavactl",
                PREFIX + "/sbin/cee_agent", MODULES + "/vfs/cava.so"]
    return {**{name: "0o644" for name in some},
            **{name: "0o755" for name in programs}}


def test_what_is_installed(stage):
    assert files(stage) == expected()
    for path in stage.rglob("*"):
        if path.is_dir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o755, path


def test_uninstall_leaves_nothing(stage):
    copy = stage.parent / "copy"
    shutil.copytree(stage, copy)
    own = copy / "etc/cavad/cavad.conf"
    own.write_text("an admin's\n")
    waf('./waf uninstall --destdir="$DEST"', copy)
    assert set(files(copy)) == {"etc/cavad/cavad.conf"}
    own.unlink()
    assert [p for p in copy.rglob("*") if p.is_dir()] in (
        [], [copy / "etc", copy / "etc/cavad"])


def test_prefix_is_remembered(tmp_path):
    """When build/out is made anew, as after an update of Samba."""
    waf("""set -e
        ./waf configure --prefix=/opt/cava %s
        for verb in install uninstall; do
                rm build/out/c4che/_cache.py
                ./waf $verb --destdir="$DEST"
                ls "$DEST/opt/cava/sbin" >> "$DEST.seen" || true
        done
        ./waf distclean
        [ ! -e build/out ]
        ./waf configure
        grep "^PREFIX = '/usr/local'" build/out/c4che/_cache.py""" %
        ("--werror" if "-Werror" in CACHE else ""), tmp_path / "dest")
    assert (tmp_path / "dest.seen").read_text() == "cavad\ncee_agent\n"
    assert not (tmp_path / "dest").exists() or not files(tmp_path / "dest")


@pytest.mark.parametrize("version", ["4.16.11-Debian", "4.20.1-Ubuntu", "4.2.2",
                                     "5.0.0"])
def test_another_samba_is_refused(version, tmp_path):
    """Before anything is fetched, in words; its smbd is stood in for."""
    shutil.copy(ROOT / "waf", tmp_path)
    shutil.copytree(ROOT / "packaging", tmp_path / "packaging")
    smbd = tmp_path / "smbd"
    smbd.write_text("#!/bin/sh\necho Version %s\n" % version)
    smbd.chmod(0o755)
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "bash", "-c",
         "mount --bind smbd /usr/sbin/smbd && ./waf configure"],
        cwd=tmp_path, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1
    for words in ("is Samba %s\n" % version, "4.17 (Debian 12)",
                  "4.22 (Debian 13)", "docs/releases.md"):
        assert words in done.stdout, done.stdout
    assert not (tmp_path / "build/samba").exists()


@pytest.mark.parametrize("unit", ["cavad", "cee_agent"])
def test_unit_is_understood(stage, unit, tmp_path):
    text = (stage / UNITS / (unit + ".service")).read_text()
    program = re.search(r"^ExecStart=(\S+)$", text, re.M).group(1)
    assert (stage / program[1:]).exists()
    copy = tmp_path / (unit + ".service")
    copy.write_text(text.replace(program, str(stage) + program))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
         str(copy)], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    ours = [line for line in done.stdout.splitlines() if unit in line]
    assert (done.returncode, ours) == (0, [])
    for page in re.findall(r"man:(\w+(?:\.\w+)?)\((\d)\)", text):
        assert (ROOT / "docs/man" / ".".join(page)).exists()


@pytest.mark.parametrize("unit,most", [("cavad", 38), ("cee_agent", 15)])
def test_units_are_not_more_exposed(stage, unit, most):
    """What SECURITY.md says, in tenths."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=true",
         "--root=%s" % stage, "--threshold=%d" % most, unit + ".service"],
        text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    row = re.search(r"\| exposure.*", (ROOT / "SECURITY.md").read_text())
    assert "%.1f" % (most / 10) in row.group().split(" | ")[
        1 + ["cavad", "cee_agent"].index(unit)]


@pytest.mark.parametrize("profile", ["cavad", "cee_agent"])
def test_apparmor_profile_is_understood(stage, profile):
    """Compiled only: this machine's kernel may have no AppArmor."""
    path = stage / "etc/apparmor.d" / profile
    assert "profile %s /%s/sbin/%s " % (profile, PREFIX, profile) in \
        path.read_text()
    done = subprocess.run(
        ["/usr/sbin/apparmor_parser", "--skip-kernel-load", "--skip-cache",
         str(path)], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = [line for line in done.stdout.splitlines()
            if "interface file missing" not in line]    # no such kernel
    assert (done.returncode, said) == (0, [])


def test_accounts_and_folders(stage):
    copy = stage.parent / "accounts"
    shutil.copytree(stage, copy)
    for tool in (["systemd-sysusers"], ["systemd-tmpfiles", "--create"]):
        subprocess.run([tool[0], "--root=%s" % copy, *tool[1:]], check=True,
                       stdin=subprocess.DEVNULL)
    users = {line.split(":")[0]: line.split(":")
             for line in (copy / "etc/passwd").read_text().splitlines()}
    for name in ("cavad", "cee_agent"):
        assert users[name][6] == "/usr/sbin/nologin"
    for path, owner in (("var/spool/cavad", 0),
                        ("var/lib/cavad", int(users["cavad"][2]))):
        found = (copy / path).stat()
        assert stat.S_IMODE(found.st_mode) == 0o700
        assert (found.st_uid, found.st_gid) == (
            owner, 0 if owner == 0 else int(users["cavad"][3]))


def adapted(stage, base):
    """The example, with places below base and the null engine."""
    text = (stage / "etc/cavad/cavad.conf.example").read_text()
    settings = {"check_root": base / "data", "state_dir": base / "state",
                "spool_dir": base / "spool", "user": "daemon",
                "ipc_socket": base / "run/ipc.sock",
                "api_socket": base / "run/api.sock", "store_size": "64M"}
    text = re.sub(r"^;?(%s) = .*\n" % "|".join(settings), "", text,
                  flags=re.M)
    text = re.sub(r"^server_uri = .*", "server_uri = null:", text,
                  flags=re.M)
    own = "".join("%s = %s\n" % pair for pair in settings.items())
    return text.replace("[settings]\n", "[settings]\n" + own)


def bounding_set(stage):
    text = (stage / UNITS / "cavad.service").read_text()
    names = " ".join(re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.M))
    names = names.lower().replace("cap_", "+").split()
    assert "+sys_admin" in names
    return ",".join(["-all"] + names)


def test_installed_cavad_with_the_example(stage):
    """With the capabilities of the unit, and telling it all it wants."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="installed."))
    base.chmod(0o755)
    (base / "data").mkdir()
    (base / "data/file").write_text("harmless\n")
    conf = base / "cavad.conf"
    conf.write_text(adapted(stage, base))
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.settimeout(30)
    notify.bind(str(base / "notify"))
    os.chmod(base / "notify", 0o777)
    log = open(base / "log", "wb")
    cavad = subprocess.Popen(
        ["setpriv", "--bounding-set", bounding_set(stage), "--no-new-privs",
         str(stage / PREFIX / "sbin/cavad"), "-f", "-c", str(conf)],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        env=dict(os.environ, NOTIFY_SOCKET=str(base / "notify")))
    try:
        assert notify.recv(1000) == b"READY=1"
        done = subprocess.run(
            [stage / PREFIX / "bin/cavactl", "-s", base / "run/api.sock",
             "scan", base / "data/file"], text=True, timeout=30,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        assert (done.returncode, "clean (av" in done.stdout) == (0, True), \
            done.stdout
        assert os.getxattr(base / "data/file", "security.cava")
        cavad.send_signal(signal.SIGHUP)
        assert notify.recv(1000) == b"RELOADING=1"
        assert notify.recv(1000) == b"READY=1"
        cavad.send_signal(signal.SIGTERM)
        assert notify.recv(1000) == b"STOPPING=1"
        assert cavad.wait(30) == 0
        text = (base / "log").read_text()
        assert "ERROR" not in text and "WARNING" not in text, text
    finally:
        cavad.kill()
        cavad.wait()
        notify.close()
        log.close()
        shutil.rmtree(base)


def readme_commands():
    """What the README says under Install, but for the first line."""
    text = (ROOT / "README.md").read_text()
    block = text[text.index("## Install\n"):]
    block = block[:block.index("\nLast, in smb.conf")]
    lines = re.findall(r"^    sudo (.*?)(?:\s+#.*)?$", block, re.M)
    assert lines[0].startswith("./waf ") and len(lines) > 4
    return lines[1:]


def test_units_under_systemd(stage):
    """The README's steps on a machine of its own, then the units at work."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="boot."))
    (base / "srv").mkdir()
    (base / "readme").write_text("".join(
        line.replace(r"'DOMAIN\svc_cava'", "nobody") + "\n"
        for line in readme_commands()))
    (base / "cavad.conf").write_text(re.sub(
        r"^server_uri = .*", "server_uri = null:",
        (stage / "etc/cavad/cavad.conf.example").read_text(), flags=re.M))
    shutil.copy(ROOT / "tests/daemon/units.sh", base)
    (base / "clean").write_text("harmless\n")
    (base / "eicar").write_bytes(EICAR)
    subprocess.run([ROOT / "tests/clamd_db.py", base / "db"], check=True)
    (base / "clamd.conf").write_text(
        "LocalSocket /run/clamav/clamd.ctl\nDatabaseDirectory /work/db\n"
        "OfficialDatabaseOnly no\nAlertExceedsMax yes\nUser root\n")
    try:
        done = subprocess.run(
            ["bash", str(ROOT / "tests/daemon/boot.sh"), str(base),
             str(stage)], text=True, timeout=90, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = base / "said"
        if not said.exists():
            pytest.skip("no systemd could be started here: %s" % done.stdout)
        assert said.read_text().endswith("\nall well\n"), said.read_text()
    finally:
        shutil.rmtree(base)
