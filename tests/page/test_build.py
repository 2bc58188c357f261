"""The page that is served is the page that is in ``web/``, and it is small."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hearsight.compose import PAGE
from hearsight.streams.page import CONTENT_TYPES, FOREVER, Page

WEB = Path(__file__).parents[2] / "web"
FIRST_LOAD_BYTES = 150_000


@pytest.fixture(scope="module")
def npm() -> str:
    found = shutil.which("npm")
    if found is None:
        pytest.skip("there is no npm on this machine, and the page cannot be built without it")
    if not (WEB / "node_modules").exists():
        pytest.skip("what builds the page is not installed: `npm --prefix web ci`")
    return found


def run(npm: str, *words: str) -> None:
    done = subprocess.run([npm, "--prefix", WEB, "run", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_served_was_built_from_what_is_here(npm, tmp_path):
    run(npm, "build", "--", "--outDir", str(tmp_path / "page"))
    built, served = contents(tmp_path / "page"), contents(PAGE)
    assert built.keys() == served.keys(), "build the page anew: npm --prefix web run build"
    assert built == served


def test_its_types_fit_and_its_own_tests_pass(npm):
    run(npm, "check")


def test_the_first_load_is_small():
    page = Page.load(PAGE)
    files = {path: page.find(path) for path in page.paths}
    loaded = {path: file for path, file in files.items() if path != "/fonts-licence.txt"}
    assert {"/", "/favicon.svg"} < loaded.keys()
    sizes = {path: len(file.packed or file.body) for path, file in loaded.items()}
    assert sum(sizes.values()) < FIRST_LOAD_BYTES, sizes


def test_every_file_of_it_is_served():
    assert all(Path(name).suffix in CONTENT_TYPES for name in contents(PAGE))
    assert len(Page.load(PAGE).paths) == len(contents(PAGE))


def test_what_it_refers_to_is_there_and_its_own():
    page = Page.load(PAGE)
    html = page.find("/").body.decode()
    referred = re.findall(r'(?:src|href)="([^"#]+)"', html)
    assert len(referred) >= 3
    for reference in referred:
        assert reference.startswith("./"), "the page may be mounted below a path"
        path = reference.removeprefix(".")
        assert page.find(path) is not None, path
        assert page.find(path).cache_control == FOREVER or not path.startswith("/assets/")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=", html), (
        "the policy allows none inside it"
    )


def test_what_builds_it_is_pinned():
    packages = json.loads((WEB / "package-lock.json").read_text())["packages"]
    assert len(packages) > 10
    assert all("integrity" in package for name, package in packages.items() if name)
