"""What a wheel holds is what the tree holds; a forgotten sub-package would vanish without a word."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("agent", "config", "streams", "tools")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_in_the_tree() -> set[str]:
    found = {"hearsight"}
    for folder in FOLDERS:
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add("hearsight." + ".".join(init.parent.relative_to(ROOT).parts))
    return found


def test_every_package_is_listed():
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_in_the_tree()


def test_every_folder_of_modules_is_a_package():
    for folder in FOLDERS:
        for module in (ROOT / folder).rglob("*.py"):
            assert (module.parent / "__init__.py").exists(), f"{module.parent} has no __init__.py"


def test_the_links_point_to_the_folders():
    for folder in FOLDERS:
        link = ROOT / "hearsight" / folder
        assert link.is_symlink()
        assert link.resolve() == ROOT / folder


def test_every_dependency_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text()
    lists = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    for requirement in [requirement for listed in lists for requirement in listed]:
        line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
        assert "#" in line, f"{requirement} does not say what it is for"


def test_the_core_needs_no_torch():
    core = " ".join(PROJECT["project"]["dependencies"])
    assert "torch" not in core
    assert "transformers" not in core


def test_the_wheel_holds_everything_and_nothing_else(tmp_path: Path):
    # An earlier build's files would go into this one too, and the page's names change with what they hold.
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, ROOT],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("hearsight-*.whl")
    names = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert {name.split("/")[0] for name in names} == {"hearsight"}, (
        "nothing named agent or tools is installed"
    )
    modules = {
        "hearsight/" + str(path.relative_to(ROOT))
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    modules |= {f"hearsight/{path.name}" for path in (ROOT / "hearsight").glob("*.py")}
    assert modules <= set(names)
    page = {
        f"hearsight/{path.relative_to(ROOT / 'hearsight')}"
        for path in (ROOT / "hearsight" / "page").rglob("*")
        if path.is_file()
    }
    assert page <= set(names)
    assert {name for name in names if name.startswith("hearsight/page/")} == page
    assert {
        "hearsight/py.typed",
        "hearsight/page/index.html",
        "hearsight/config/models.toml",
        "hearsight/config/default.toml",
    } <= set(names)
