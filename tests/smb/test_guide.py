"""Every command of docs/guide.md at work, in the order of the page, on a lab;
and every piece of configuration in it.

A line of a fenced `sh` block is run here or has its test in ELSEWHERE. A
fenced `ini` block says in its first line whose it is.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from lab import EICAR, ROOT, wait_for

GUIDE = (ROOT / "docs/guide.md").read_text()
BIN = ROOT / "build/out/bin"
MANPAGE = ROOT / "build/samba/source/docs-xml/manpages/vfs_virusfilter.8.xml"

# What is run elsewhere: the beginning of a line, and the test that does it, or
# the same by other means: dpkg -i for apt, echo for the editor, a start for
# enable --now of cee_agent.
UNITS = "tests/daemon/test_install.py::test_units_under_systemd"
PACKAGES = "tests/daemon/test_deb.py::test_life_of_the_packages"
ELSEWHERE = {
    "apt ": PACKAGES,
    "systemctl enable --now cavad": UNITS,
    "systemctl enable --now cee_agent": UNITS,
    "cee_agent --check-config":
        "tests/daemon/test_examples.py::test_agent_conf_is_accepted",
    "install -o cee_agent": UNITS,
    "editor ": UNITS,
    "useradd ": UNITS,
    "smbpasswd ": UNITS,
    "journalctl ": UNITS,
}

# What is run here; a line that begins otherwise needs its test above.
HERE = ("cavactl", "cavad", "smbclient", "getfattr", "testparm", "printf",
        "curl", "openssl", "chown", "chmod", "smbcontrol", "net", "find",
        "tar")

# What a line ends with, or is to say, if it is not exit status 0.
STATUS = {
    "cavactl scan /srv/projects/eicar.com": 2,
    "cavactl scan /srv/projects": 2,
    "cavactl explain /srv/projects/eicar.com": 2,
    "smbclient //nas1.example.com/projects -U alice "
    "-c 'get eicar.com back.com'": 1,
}
SAYS = {
    "cavactl selftest": "the test file is found infected",
    "cavactl scan /srv/projects/eicar.com": "infected",
    "smbclient //nas1.example.com/projects -U alice "
    "-c 'get eicar.com back.com'": "NT_STATUS_VIRUS_INFECTED",
    "cavactl zones": "Finance",
    "cavactl status": "online",
    "cavactl jobs": "every weekday at 22:00",
    "cavactl jobs schedule every Saturday at 01:00": "Sat ",
    "cavactl threats": "eicar.com",
    "cavactl explain /srv/projects/eicar.com": "denied",
    "cavactl reports view J-18": "infected files",
    "getfattr -n security.cava -e hex /srv/projects/eicar.com":
        "0x0202",       # infected
    "cavactl allow list": "our own installer",
    "cavactl quarantine list": "contract.pdf",
    "cavactl servers probe icap1": "204",
    "curl --cacert /etc/cavad/cert.pem -u admin "
    "https://nas1.example.com:8080/platform/11/avscan/settings": "scan_timeout",
}

ICAP = "With an ICAP product"
# In these the lab's cavad.conf becomes what the guide says; the configuration
# of others is checked alone.
TLS = "API over TLS, and the web page"
APPLIED = ("Zones and filters", "Jobs and schedules", TLS)


def blocks(kind):
    """(heading, lines) of each fenced block, in order."""
    found = []
    heading = ""
    parts = re.split(r"^```", GUIDE, flags=re.M)
    for i, part in enumerate(parts):
        if i % 2 == 1:
            name, _, text = part.partition("\n")
            if name == kind:
                found.append((heading, text.rstrip("\n").split("\n")))
        else:
            for line in re.findall(r"^##+ (.*)$", part, re.M):
                heading = line
    return found


def commands():
    """(heading, command) of each line, without sudo and its comment."""
    found = []
    for heading, lines in blocks("sh"):
        for line in lines:
            line = re.sub(r"\s+# .*$", "", line)
            found.append((heading, re.sub(r"(^|\| )sudo ", r"\1", line)))
    return found


def elsewhere(command):
    for beginning, test in ELSEWHERE.items():
        if command.startswith(beginning):
            return test
    return None


def replaced(text, table):
    for old, new in table:
        text = text.replace(old, new)
    return text


def substituted(lab, heading, text):
    """The guide's names become those of the lab."""
    env = lab.env
    if heading == TLS:      # its certificate is for the guide's host
        return replaced(text, (
            ("/etc/cavad", str(lab.dir / "here")),
            ("root:cavad", "root:labcavad"),
            ("mkpasswd -m yescrypt", "mkpasswd -m yescrypt secret"),
            ("192.0.2.10", env["SMB_HOST"]),
            ("curl", "curl -fsS --resolve nas1.example.com:8080:" +
             env["SMB_HOST"]),
            ("-u admin", "-u admin:secret")))
    return replaced(text, (
        ("//nas1.example.com/projects -U alice", "-s %s //%s/%s -U %s%%%s" % (
            os.devnull, env["SMB_HOST"], env["SHARE"], env["SMB_USER"],
            env["SMB_PASS"])),
        ("/srv/projects", env["SHARE_DIR"]),
        ("svc_cava", env["AV_USER"]),
        ("cavad --", "cavad -c %s --" % env["CAVAD_CONF"]),
        ("--setup-share", "--setup-share --smb-conf " + env["SMB_CONF"]),
        ("cavactl selftest", "cavactl selftest --smb-conf " +
         env["SMB_CONF"]),
        ("probe icap1", "probe av0"), ("probe av1", "probe av0"),
        ("testparm -s", "testparm -s " + env["SMB_CONF"]),
        ("smbcontrol all", "smbcontrol -s %s all" % env["SMB_CONF"]),
        ("net conf", "net -s %s conf" % env["SMB_CONF"]),
        ("etc/cavad var/lib/cavad", "%s %s" % (
            env["CAVAD_CONF"][1:], env["STATE_DIR"][1:]))))


def job_report(lab):
    """The id of a report of a job's run."""
    found = lab.cavactl("reports", fmt="json").stdout
    return re.search(r'"(J-\d+)"', found).group(1)


def apply(lab, heading, lines):
    """Makes a piece of configuration part of the lab's cavad.conf."""
    conf = pathlib.Path(lab.env["CAVAD_CONF"])
    section = None
    for line in substituted(lab, heading, "\n".join(lines[1:])).split("\n"):
        if line.startswith("["):
            section = line.strip("[]")
            if line not in conf.read_text().split("\n"):
                conf.write_text("%s\n%s\n" % (conf.read_text(), line))
        elif line:
            name, _, value = line.partition(" = ")
            lab.configure(section, name, value)


def systemctl(lab, verb):
    if verb == "reload":
        before = lab.log().count("was read again")
        pid = int((lab.dir / "run/cavad.pid").read_text())
        os.kill(pid, signal.SIGHUP)
        wait_for("the reload", lambda: lab.log().count("was read again") >
                 before)
        return
    if verb in ("stop", "restart"):
        lab.sh("stop", "cavad")
    if verb in ("start", "restart"):
        lab.sh("start", "cavad")
        lab.wait_online()


def run(lab, heading, command):
    done = re.fullmatch(r"systemctl (reload|restart|stop|start) cavad",
                        command)
    if done:
        return systemctl(lab, done.group(1))
    assert command.split()[0] in HERE, \
        "nobody runs this line: %s" % command
    env = dict(os.environ, CAVAD_API_SOCKET=lab.env["API_SOCKET"],
               PATH="%s:%s:/usr/sbin:/sbin" % (BIN, os.environ["PATH"]))
    words = substituted(lab, heading, command)
    if "J-18" in words:
        words = words.replace("J-18", job_report(lab))
    done = subprocess.run(
        lab.command("run", "bash", "-c", words),
        text=True, errors="replace", timeout=90, env=env,
        cwd=lab.dir / "here", stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == STATUS.get(command, 0), (command, done.stdout)
    assert SAYS.get(command, "") in done.stdout, (command, done.stdout)
    return None


@pytest.fixture
def lab(new_lab, request):
    lab = new_lab("--engine", request.param)
    (lab.dir / "here").mkdir()
    lab.write_local("contract.pdf", b"harmless\n")
    lab.start()
    lab.wait_online()
    lab.connect()       # its share is known from now on
    return lab


@pytest.mark.parametrize("lab", ["cee"], indirect=True)
def test_each_command(lab):
    todo = [c for c in commands() if c[0] != ICAP]
    conf = {heading: lines for heading, lines in blocks("ini")
            if heading in APPLIED and lines[0] == "# cavad.conf"}
    assert set(conf) == set(APPLIED)
    for heading, command in todo:
        if elsewhere(command):
            continue
        if heading in conf:
            apply(lab, heading, conf.pop(heading))
        run(lab, heading, command)
    assert (lab.dir / "here/eicar.com").read_bytes() == EICAR
    assert (lab.dir / "here/cava-backup.tar.gz").stat().st_size > 1000
    assert lab.attribute("eicar.com") is None       # the last command


@pytest.mark.parametrize("lab", ["icap"], indirect=True)
def test_icap(lab):
    todo = [command for heading, command in commands() if heading == ICAP]
    assert todo
    for command in todo:
        run(lab, ICAP, command)


def test_what_is_run_elsewhere_is():
    for test in ELSEWHERE.values():
        path, name = test.split("::")
        assert "def %s(" % name in (ROOT / path).read_text(), test
    for beginning in ELSEWHERE:
        assert any(c.startswith(beginning) for _, c in commands()), beginning
    for command in list(STATUS) + list(SAYS):
        assert command in [c for _, c in commands()], command


# --- the configuration ---

def of_cavad():
    return ["\n".join(lines) for heading, lines in blocks("ini")
            if lines[0] == "# cavad.conf" and heading not in APPLIED]


@pytest.mark.parametrize("text", of_cavad())
def test_cavad_conf(text, tmp_path):
    conf = tmp_path / "cavad.conf"
    conf.write_text(text + "\n")
    done = subprocess.run([BIN / "cavad", "-c", conf, "--check-config"],
                          text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout


def test_smb_conf_and_cee_agent_conf(tmp_path):
    kinds = [lines[0] for _, lines in blocks("ini")]
    assert set(kinds) == {"# cavad.conf", "# smb.conf", "# cee_agent.conf"}
    (tmp_path / "password").write_text("secret\n")
    (tmp_path / "password").chmod(0o600)
    for _, lines in blocks("ini"):
        name = lines[0][2:]
        path = tmp_path / name
        path.write_text("\n".join(lines).replace(
            "/etc/cavad/nas1.password", str(tmp_path / "password")) + "\n")
        command = {"smb.conf": ["testparm", "-s", path],
                   "cee_agent.conf": [BIN / "cee_agent", "-c", path,
                                      "--check-config"]}.get(name)
        if command is None:
            continue
        done = subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        assert done.returncode == 0, done.stdout
        assert "nknown" not in done.stdout, done.stdout


def test_prometheus_yml(tmp_path):
    """With the rules and a certificate in place; promtool reads them too."""
    [(_, lines)] = blocks("yaml")
    assert lines[0] == "# prometheus.yml"
    text = "\n".join(lines)
    for name, content in (
            ("cavad.pem", ""), ("cavad.rules.yml", (
                ROOT / "packaging/prometheus/cavad.rules.yml").read_text())):
        assert "/etc/prometheus/" + name in text
        (tmp_path / name).write_text(content)
    path = tmp_path / "prometheus.yml"
    path.write_text(text.replace("/etc/prometheus", str(tmp_path)) + "\n")
    done = subprocess.run(["promtool", "check", "config", path], text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert done.returncode == 0, done.stdout
    assert "SUCCESS" in done.stdout and "1 rule files found" in done.stdout


# --- what it leaves out ---

def test_every_noun_of_cavactl_is_in_it():
    done = subprocess.run([BIN / "cavactl", "--help"], text=True, check=True,
                          stdout=subprocess.PIPE)
    text = done.stdout[:done.stdout.index("\nOptions")]
    nouns = set(re.findall(r"^  ([a-z]+)\b", text, re.M))
    assert len(nouns) > 10
    missing = [n for n in nouns if "cavactl %s" % n not in GUIDE]
    assert not missing, missing


def test_every_option_of_virusfilter_is_in_it():
    names = re.findall(r"<term>virusfilter:([a-z ]+?)\s*(?:=|</term>)",
                       MANPAGE.read_text())
    assert len(names) > 25
    table = GUIDE[GUIDE.index("## From vfs_virusfilter"):]
    for name in names:
        assert re.search(r"`%s\b" % name, table), name
