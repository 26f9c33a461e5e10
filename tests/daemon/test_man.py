"""Man pages say what the programs do, no less and no more.

--help, the module's parameters and their defaults, the tables of cee_agent's
configuration, exit statuses, log lines and paths are compared with the
pages in both directions; every page renders without a warning.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = ROOT / "build" / "out" / "bin"
MAN = ROOT / "docs" / "man"
PAGES = sorted(MAN.glob("*.[158]"))
PROGRAMS = {"cavad": "cavad.8", "cavactl": "cavactl.1",
            "cee_agent": "cee_agent.8"}
SOURCES = {p.name: p.read_text() for p in (ROOT / "vfs_cava").glob("*.c")}


def render(page, *flags):
    """(text, warnings); wide enough that no head of a paragraph wraps."""
    done = subprocess.run(
        ["groff", "-mandoc", "-t", "-Tutf8", "-P-cbou", "-rLL=200n",
         "-rHY=0", *flags, str(MAN / page)], text=True, check=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, encoding="utf-8")
    text = done.stdout.replace("\u2010", "-").replace("\u2212", "-")
    return text.replace("\u2019", "'"), done.stderr


def section(page, name):
    lines, inside = [], False
    for line in render(page)[0].splitlines():
        if re.match(r"\S", line):
            inside = line.strip() == name
        elif inside:
            lines.append(line)
    assert lines, "%s has no section %s" % (page, name)
    return "\n".join(lines)


def heads(text):
    """The heads of tagged paragraphs; a short one has text beside it."""
    found = re.findall(r"^ {7}(\S.*)$", text, re.M)
    return [(head[:6] if head[6:7] == " " else head).strip()
            for head in found]


def says(program):
    return subprocess.run([BIN / program, "--help"], text=True, check=True,
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_renders_without_a_warning(page):
    text, warnings = render(page.name, "-ww")
    assert warnings == ""
    for name in ("NAME", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"):
        if name == "SYNOPSIS" and page.suffix == ".5":
            continue
        assert re.search("^%s$" % name, text, re.M), name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_refers_to_pages_that_exist(page):
    own = {p.stem: p.suffix[1:] for p in PAGES}
    text = render(page.name)[0]
    for name, number in re.findall(r"\b([\w.]+)\((\d)\)", text):
        assert own.get(name, number) == number, name
    assert SEE_ALSO[page.name] <= set(
        re.findall(r"\b([\w.]+)\(\d\)", text)), page.name


SEE_ALSO = {
    "cavactl.1": {"cavad", "cavad.conf", "vfs_cava"},
    "cavad.8": {"cavactl", "cavad.conf", "vfs_cava", "cee_agent"},
    "cavad.conf.5": {"cavactl", "cavad", "vfs_cava"},
    "cee_agent.8": {"cavad", "clamd"},
    "vfs_cava.8": {"cavad", "cavactl", "cavad.conf", "smb.conf"},
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_options(program):
    helped = re.findall(r"^ +(-\S, --\S+|--\S+)", says(program), re.M)
    paged = [h for h in heads(section(PROGRAMS[program], "OPTIONS"))
             if h.startswith("-")]
    assert len(helped) > 3
    assert sorted(helped) == sorted(paged)


@pytest.mark.parametrize("program", PROGRAMS)
def test_synopsis_has_options_that_exist(program):
    known = set(re.findall(r"--?[\w-]+", says(program)))
    used = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*",
                          section(PROGRAMS[program], "SYNOPSIS")))
    assert used <= known


def test_commands_of_cavactl():
    text = says("cavactl")
    text = text[text.index("Commands:"):text.index("Options:")]
    helped = re.findall(r"^  (\S(?:\S| (?! ))*)", text, re.M)
    assert len(helped) > 5
    # a first word of six letters looks like a short head with text beside it
    short = [head[:6] if head[6:7] == " " else head for head in helped]
    assert heads(section("cavactl.1", "COMMANDS")) == short


def test_options_of_commands_of_cavactl():
    """What --help of a command has beside everybody's is in its paragraph,
    and no option is there that it has not."""
    everybody = set(re.findall(r"--[\w-]+", says("cavactl")))
    text = section("cavactl.1", "COMMANDS")
    parts = re.split(r"^ {7}(?=\S)", text, flags=re.M)[1:]
    listed = says("cavactl").split("Commands:")[1].split("Options:")[0]
    commands = re.findall(r"^  ((?:[a-z]+ ?)+)", listed, re.M)
    assert len(parts) == len(commands)
    own, known = set(), set(everybody)
    for words, part in zip(map(str.split, commands), parts):
        out = subprocess.run([BIN / "cavactl", *words, "--help"], text=True,
                             check=True, stdout=subprocess.PIPE).stdout
        known |= set(re.findall(r"--[a-z][\w-]*", out))
        own |= set(re.findall(r"--[a-z][\w-]*", re.split(
            "Fields:|Examples:", out.split("Options:")[1])[0])) - everybody
        if "\n" not in part.strip():    # the text follows a later one
            continue
        told = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", part))
        assert own <= told <= known, words
        own, known = set(), set(everybody)


def test_exit_statuses_of_cavactl():
    header = (ROOT / "cavactl/cavactl.h").read_text()
    enum = re.search(r"enum cavactl_exit \{(.*?)\}", header, re.S).group(1)
    codes = re.findall(r"CAVACTL_\w+ = (\d+)", enum)
    assert len(codes) == len(re.findall(r"CAVACTL_", enum))
    paged = heads(section("cavactl.1", "EXIT STATUS"))
    assert [head for head in paged if head.isdigit()] == codes


def module_parameters():
    """{name: default}, of every lp_parm call and wrapper in the module."""
    text = "\n".join(SOURCES.values())
    enums = dict(re.findall(r"\{ (\w+), \"(\w+)\" \}", text)[::-1])
    enums["true"], enums["false"] = "yes", "no"
    found = dict(re.findall(
        r'cava_parameter\(cava,\s*"(\w+)",\s*"([^"]*)"\)', text))
    for name, default in re.findall(
            r'cava_choice\(cava,\s*"(\w+)",\s*\w+,\s*(\w+)\)', text):
        found[name] = enums[default]
    # the two wrappers aside, nothing reads a parameter
    direct = re.findall(r'lp_parm_\w+\([^;]*?"cava",\s*(\w+|"\w+")', text)
    assert direct == ["name", "name"]
    return found


def test_parameters_of_the_module():
    expected = module_parameters()
    assert {"enabled", "role", "zone", "profile"} <= set(expected)
    text = section("vfs_cava.8", "PARAMETERS")
    parts = re.split(r"^ {7}cava:(\w+) = .*$", text, flags=re.M)[1:]
    paged = {}
    for name, body in zip(parts[::2], parts[1::2]):
        default = re.search(r"Default (\S+?)\.(?:\s|$)", body)
        paged[name] = default and default.group(1)
    assert paged == expected
    table = re.search(r"parameter +default\n(.*?)\n \*\n",
                      SOURCES["params.c"], re.S).group(1)
    assert dict(re.findall(r"cava:(\w+) +(\S+)", table)) == expected


def test_choices_of_the_module():
    """The values of profile and role are those that are taken."""
    text = SOURCES["params.c"]
    for name in ("profile", "role"):
        values = re.search(r"cava_%ss\[\] = \{(.*?)\};" % name, text,
                           re.S).group(1)
        expected = re.findall(r'"(\w+)"', values)
        head = re.search(r"cava:%s = (.*)" % name,
                         section("vfs_cava.8", "PARAMETERS")).group(1)
        assert head.strip().split(" | ") == expected


def test_messages_of_the_module():
    """Constant words of each message are in the source."""
    text = re.sub(r'"\s*"', "", "\n".join(SOURCES.values()))
    messages = heads(section("vfs_cava.8", "MESSAGES"))
    assert len(messages) > 3
    for message in messages:
        if not message.startswith("cava:"):
            continue
        words = re.split(r"[A-Z]{2,}[A-Z:]*", message)
        for part in words:
            assert part.strip(" ,.:") in text, message


def agent_fields(table):
    text = (ROOT / "cee_agent/config.c").read_text()
    rows = re.search(r"%s\[\] = \{(.*?)\};" % table, text, re.S).group(1)
    return sorted(re.findall(r'\{ "(\w+)"', rows))


def test_configuration_of_the_agent():
    text = section("cee_agent.8", "CONFIGURATION")
    agent, storage = re.split(r"^ +\[storage NAME\]$", text, flags=re.M)
    for part, table in ((agent, "agent_fields"), (storage, "storage_fields")):
        names = [name for head in heads(part)
                 if re.fullmatch(r"[a-z_]+(, [a-z_]+)*", head)
                 for name in head.split(", ")]
        assert sorted(names) == agent_fields(table)


def test_statuses_of_the_agent():
    """Each status that the agent may send is explained, and no other."""
    header = (ROOT / "common/cee_msg.h").read_text()
    number = {name: int(value, 0) for name, value in
              re.findall(r"#define (CEE_\w+) (0x[0-9a-f]+)\s", header)}
    used = set()
    for path in (ROOT / "cee_agent").glob("*.c"):
        used |= set(re.findall(r"\bCEE_[A-Z_]+\b", path.read_text()))
    text = section("cee_agent.8", "HTTP")
    paged = {int(n, 16) for n in re.findall(r"^ +(0x[0-9a-f]+) ", text, re.M)}
    assert paged == {number[name] for name in used if name in number}


def test_files_of_cavad():
    """The paths are the defaults of object.def."""
    paths = [h for h in heads(section("cavad.8", "FILES"))]
    known = (ROOT / "cavad/object.def").read_text() + \
        (ROOT / "cavad/main.c").read_text()
    assert paths and all(p.startswith("/") for p in paths)
    for path in paths:
        assert '"%s"' % path in known, path


def test_signals_of_cavad():
    text = (ROOT / "cavad/main.c").read_text()
    taken = re.search(r"signals\[\] = \{([^}]*)\}", text).group(1)
    assert sorted(re.findall(r"SIG\w+", taken)) == sorted(
        re.findall(r"SIG\w+", " ".join(heads(section("cavad.8",
                                                     "SIGNALS")))))


def test_events_of_cavad():
    rows = re.findall(r'EVENT\((\d+), (\w+), \w+, "([^"]*)"\)',
                      (ROOT / "cavad/event.def").read_text())
    paged = re.findall(r"^ +(\d{9}) +(\w+) +(\S.*?) *$",
                       section("cavad.8", "EVENTS"), re.M)
    assert len(rows) > 10
    assert paged == rows


def test_reload_says_what_it_takes_up():
    """cavad.conf(5) names what a reload takes up, as the source does."""
    text = (ROOT / "cavad/config_take.c").read_text()
    live = re.search(r"config_live\[\] = \{(.*?)NULL", text, re.S).group(1)
    paged = section("cavad.conf.5", "RELOADING")
    assert sorted(re.findall(r'"(\w+)"', live)) == sorted(
        set(re.findall(r"\b[a-z]+_[a-z_]+\b|\b(?:denial|nodes?)\b",
                       paged)))
