"""The docs name tests and hooks that exist, and leave none out.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPERATIONS = ROOT / "docs/operations.md"
PAGES = sorted((ROOT / "docs").glob("*.md")) + sorted(ROOT.glob("*.md"))


def named_tests(text):
    return set(re.findall(r"`((?:tests/)?[\w/]*test_\w+\.py)::(test_\w+)`",
                          text))


def file_of(name):
    for path in (ROOT / name, ROOT / "tests" / name,
                 ROOT / "tests/smb" / name, ROOT / "tests/daemon" / name):
        if path.is_file():
            return path
    raise AssertionError("no such file of tests: %s" % name)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_tests_that_are_named_exist(page):
    for name, function in sorted(named_tests(page.read_text())):
        source = file_of(name).read_text()
        assert re.search(r"^def %s\(" % function, source, re.M), \
            "%s names %s::%s" % (page.name, name, function)


def test_every_row_has_a_test():
    assert len(named_tests(OPERATIONS.read_text())) > 40
    section = ""
    for line in OPERATIONS.read_text().splitlines():
        if line.startswith("## "):
            section = line
        if not line.startswith("| ") or "not hooked" in section:
            continue
        if re.match(r"\| (operation|what ends it|class|place|stack) \|", line):
            continue
        assert named_tests(line), line


def test_every_hook_is_there():
    """Each row of the module's table is in docs/operations.md."""
    source = (ROOT / "vfs_cava/vfs_cava.c").read_text()
    table = source[source.index("struct vfs_fn_pointers cava_fns"):]
    hooks = re.findall(r"\.(\w+)_fn = ", table[:table.index("};")])
    assert len(hooks) > 20
    text = OPERATIONS.read_text()
    missing = [h for h in hooks if "`%s`" % h not in text]
    assert not missing, missing


def test_links_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)",
                               page.read_text()):
            assert (page.parent / link).exists(), (page.name, link)
