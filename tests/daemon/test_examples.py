"""The examples at the top load, and name only what exists.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMB_CONF = ROOT / "smb.conf.example"
CAVAD_CONF = ROOT / "cavad.conf.example"
CEE_AGENT = ROOT / "build" / "out" / "bin" / "cee_agent"
CAVAD = ROOT / "build" / "out" / "bin" / "cavad"


def run(*command):
    return subprocess.run(command, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def check(text, tmp_path):
    path = tmp_path / "cavad.conf"
    path.write_text(text)
    return run(CAVAD, "--check-config", "-c", path)


def test_smb_conf_loads(tmp_path):
    """Without what this machine has, or lacks: a registry, folders."""
    tmp_path.chmod(0o755)
    done = run("testparm", "-s", SMB_CONF,
               *("--option=%s directory=%s" % (name, tmp_path)
                 for name in ("lock", "state", "cache", "pid")))
    assert done.returncode == 0
    assert "Loaded services file OK." in done.stdout
    for word in ("Unknown", "Ignoring", "WARNING", "ERROR"):
        assert word not in done.stdout


def test_smb_conf_names_parameters_that_exist():
    read = re.findall(r'cava_(?:parameter|choice)\(cava,\s*"(\w+)"',
                      (ROOT / "vfs_cava" / "params.c").read_text())
    used = re.findall(r"^\s*cava:(\w+) =", SMB_CONF.read_text(), re.M)
    assert used and set(used) <= set(read)


def test_cavad_conf_is_accepted():
    done = run(CAVAD, "--check-config", "-c", CAVAD_CONF)
    assert (done.returncode, done.stdout) == (
        0, "%s: OK\n" % CAVAD_CONF)


def test_commented_lines_are_accepted_too(tmp_path):
    """With files of ours in the place of those of the API on TCP."""
    text = re.sub(r"^;", "", CAVAD_CONF.read_text(), flags=re.M)
    hashed = run("mkpasswd", "-m", "yescrypt", "secret").stdout
    for name, content in (("cert.pem", ""), ("key.pem", ""),
                          ("accounts", "admin:" + hashed)):
        path = tmp_path / name
        path.touch(0o600)
        path.write_text(content)
        assert "/etc/cavad/" + name in text
        text = text.replace("/etc/cavad/" + name, str(path))
    done = check(text, tmp_path)
    assert done.returncode == 0, done.stdout


AGENT_CONF = ROOT / "cee_agent.conf.example"


def check_agent(text, tmp_path):
    """With files of ours in the place of those that it names."""
    for name, mode in (("nas1.password", 0o600), ("svc_cava.keytab", 0o600),
                       ("cee_agent.key", 0o600), ("cee_agent.crt", 0o644),
                       ("clamd.conf", 0o644)):
        (tmp_path / name).write_text("AlertExceedsMax yes\n")
        (tmp_path / name).chmod(mode)
    text = re.sub(r"/etc/(?:cavad|clamav)/", "%s/" % tmp_path, text)
    path = tmp_path / "cee_agent.conf"
    path.write_text(text)
    return run(CEE_AGENT, "--check-config", "-c", path)


def test_agent_conf_is_accepted(tmp_path):
    done = check_agent(AGENT_CONF.read_text(), tmp_path)
    assert (done.returncode, done.stdout) == (
        0, "%s: OK\n" % (tmp_path / "cee_agent.conf"))


def test_commented_lines_of_the_agent_are_accepted_too(tmp_path):
    text = re.sub(r"^;", "", AGENT_CONF.read_text(), flags=re.M)
    assert "keytab = " in text
    done = check_agent(text, tmp_path)
    assert (done.returncode, done.stdout) == (
        0, "%s: OK\n" % (tmp_path / "cee_agent.conf")), done.stdout


def test_a_wrong_one_is_not(tmp_path):
    done = check(CAVAD_CONF.read_text().replace("strict", "stritc"), tmp_path)
    assert done.returncode != 0
    assert "stritc" in done.stdout and "standard" in done.stdout


def test_readme_names_what_exists():
    text = (ROOT / "README.md").read_text()
    for name in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (ROOT / name).exists(), name
    help_text = run(ROOT / "build" / "out" / "bin" / "cavactl",
                    "--help").stdout
    for command in re.findall(r"cavactl (\w+)", text):
        assert command in help_text, command
