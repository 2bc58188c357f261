"""The arrows between the folders point one way."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("agent", "config", "streams", "tools")
MAY_IMPORT = {
    "config": {"config"},
    "streams": {"config", "streams"},
    "tools": {"config", "tools"},
    "agent": {"agent", "config", "streams", "tools"},
}
HEAVY = {"torch", "transformers", "langgraph", "langchain_core", "accelerate", "timm"}
FORBIDDEN = {"streams": HEAVY, "config": HEAVY, "tools": HEAVY - {"langchain_core"}}


def modules() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            names.append(node.module or "")
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path):
    folder = path.relative_to(ROOT).parts[0]
    for name in imported(path):
        top, _, rest = name.partition(".")
        assert top not in FOLDERS, f"{name} is a second copy of the module: import hearsight.{name}"
        if top == "hearsight":
            target = rest.split(".")[0]
            assert target in MAY_IMPORT[folder], f"{folder} must not import hearsight.{target}"
        assert top not in FORBIDDEN.get(folder, set()), f"{folder} must not import {top}"


def test_engines_are_imported_only_when_they_are_asked_for():
    """Importing the agent must not pull in torch, llama.cpp or whisper."""
    import subprocess
    import sys

    code = (
        "import sys, hearsight, hearsight.agent.session, hearsight.streams.server\n"
        "heavy = {'torch', 'transformers', 'xllamacpp', 'faster_whisper', 'rapidocr', 'hibari_tts'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_prints(path: Path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    printed = [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
    assert not printed, f"print in {path}, lines {printed}: log it or return it"
