"""Labs for the SMB tests: one a module for each set of options.

SPDX-License-Identifier: GPL-3.0-or-later
"""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from lab import Lab  # noqa: E402


def pytest_configure(config):
    if os.geteuid() != 0:
        raise pytest.UsageError("the SMB tests start smbd: run them as root")


@pytest.fixture(scope="module")
def labs():
    """labs(*options): a started lab, shared by the tests of a module."""
    made = {}

    def get(*options):
        if options not in made:
            made[options] = Lab(*options)
            made[options].start()
        return made[options]

    yield get
    for lab in made.values():
        lab.close()


@pytest.fixture
def new_lab():
    """new_lab(*options): a lab of the test's own, set up, not started."""
    made = []

    def get(*options):
        made.append(Lab(*options))
        return made[-1]

    yield get
    for lab in made:
        lab.close()


@pytest.fixture(scope="module")
def new_lab_of_module():
    """As new_lab, for a fixture that a module's tests share."""
    made = []

    def get(*options):
        made.append(Lab(*options))
        return made[-1]

    yield get
    for lab in made:
        lab.close()
