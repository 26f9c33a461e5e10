#!/usr/bin/python3
"""Debian packages of what is installed below a folder (prefix /usr).

deb.py STAGE OUT [VERSION]: debhelper's commands, one after the other, on
packaging/debian. There is no debian/rules, which would be a makefile: waf
has built and installed everything. Units, accounts and folders are given to
debhelper by the names that it expects.

The version is that of the changelog with the release of Debian at its end,
since the same source makes another package in each; the module's also names
the Samba that it is for, so that the next Samba makes a newer one.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Who of systemd's files belongs to which package.
OWNERS = {"cavad": "cavad", "cee_agent": "cee-agent"}
MODULE = "samba-vfs-cava"


def run(*command, cwd):
    environment = dict(os.environ, DH_COMPAT="13", DH_QUIET="1")
    subprocess.run(command, cwd=cwd, env=environment, check=True,
                   stdin=subprocess.DEVNULL)


def said(*command):
    return subprocess.run(command, check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def release():
    text = pathlib.Path("/etc/os-release").read_text()
    number = re.search(r'^VERSION_ID="?(\d+)', text, re.M)
    return "deb" + number.group(1) if number else "sid"


def samba_version():
    return said("dpkg-query", "-W", "-f", "${Version}", "samba")


def prepare(stage, tree, version):
    """debian/ with all that debhelper wants in there. The full version."""
    debian = tree / "debian"
    shutil.copytree(ROOT / "packaging" / "debian", debian)
    shutil.copytree(stage, debian / "tmp", symlinks=True)
    changelog = debian / "changelog"
    first, rest = changelog.read_text().split("\n", 1)
    name, ours = re.match(r"(\S+) \(([^)]+)\)", first).groups()
    full = "%s+%s" % (version or ours, release())
    changelog.write_text("%s (%s) %s\n%s" % (
        name, full, first.split(") ", 1)[1], rest))
    for base, package in OWNERS.items():
        unit = debian / "tmp/usr/lib/systemd/system" / (base + ".service")
        unit.rename(debian / ("%s.%s.service" % (package, base)))
        for kind in ("sysusers", "tmpfiles"):
            conf = debian / ("tmp/usr/lib/%s.d/%s.conf" % (kind, base))
            if conf.exists():
                conf.rename(debian / ("%s.%s.%s" % (package, base, kind)))
    return full


def debhelper(tree, out, full):
    module = "%s+samba%s" % (full, re.sub(
        r"^\d+:", "", samba_version()).replace("-", "."))

    def dh(*command):
        run("dh_" + command[0], *command[1:], cwd=tree)

    dh("install")
    dh("installdocs")
    dh("installchangelogs")
    for base, package in OWNERS.items():
        for kind in ("sysusers", "tmpfiles"):
            if (tree / ("debian/%s.%s.%s" % (package, base, kind))).exists():
                dh("install" + kind, "-p" + package, "--name=" + base)
        # Started by the administrator, who has to configure it before;
        # an upgrade restarts what runs.
        dh("installsystemd", "-p" + package, "--name=" + base, "--no-enable",
           "--no-start", "--restart-after-upgrade")
        dh("apparmor", "-p" + package, "--profile-name=" + base)
    for command in ("link", "compress", "fixperms", "missing", "strip"):
        dh(command)
    dh("shlibdeps", "-l/usr/lib/%s/samba" % said(
        "dpkg-architecture", "-qDEB_HOST_MULTIARCH"))
    dh("installdeb")
    dh("gencontrol", "-N" + MODULE)
    dh("gencontrol", "-p" + MODULE, "--", "-v" + module,
       "-Vsamba:Version=" + samba_version(), "-Vcavad:Version=" + full)
    dh("md5sums")
    dh("builddeb", "--destdir=%s" % out)


def main():
    stage, out = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.deb"):
        old.unlink()
    tree = out / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    full = prepare(stage, tree, sys.argv[3] if len(sys.argv) > 3 else "")
    debhelper(tree, out, full)
    shutil.rmtree(tree)


main()
