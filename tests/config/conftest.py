"""Settings tests see no variables of the machine that they run on."""

import os

import pytest


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in os.environ:
        if name.upper().startswith("HEARSIGHT_"):
            monkeypatch.delenv(name)
