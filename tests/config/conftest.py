"""Tests of the configuration see nothing of the machine that they run on."""

import os

import pytest
from package_shelf import Shelf


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in os.environ:
        if name.upper().startswith("HEARSIGHT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Packages in a folder, which is all that pip gets to see."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Shelf(folder)
