"""What the documentation says can be done, can be done."""

import asyncio
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from typer.main import get_command

from hearsight.cli import app
from hearsight.config.layers import PRESETS
from hearsight.config.settings import load_settings, setting_keys

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def shell_lines() -> list[list[str]]:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    lines += re.findall(r"`((?:hearsight|make) [^`]+)`", README)
    return [words for line in lines if (words := shlex.split(line, comments=True))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_commands_and_their_flags_exist():
    commands = [words for words in shell_lines() if words[0] == "hearsight"]
    assert {words[1] for words in commands} >= {"ask", "serve", "config", "doctor", "models"}
    for words in commands:
        command = get_command(app)
        for name in words[1:]:
            if name not in getattr(command, "commands", {}):
                break
            command = command.commands[name]
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= flags, words


def test_the_recordings_that_are_asked_about_exist():
    named = [word for words in shell_lines() for word in words if word.startswith("tests/")]
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for words in shell_lines():
        if words[0] == "make":
            assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), words


def test_settings_are_accepted_and_named_as_they_are(tmp_path):
    for block in blocks("toml"):
        tomllib.loads(block)
        (tmp_path / "mine.toml").write_text(block)
        load_settings(config_file=tmp_path / "mine.toml")
    keys = set(setting_keys())
    sections = "|".join({key.partition(".")[0] for key in keys})
    for page in (README, (ROOT / "docs" / "architecture.md").read_text()):
        for key in re.findall(rf"`((?:{sections})\.(?!py`|toml`)[a-z0-9_]+)`", page):
            assert key in keys, key
    for name in re.findall(r"HEARSIGHT_[A-Z]+__[A-Z_]+", README):
        assert name.removeprefix("HEARSIGHT_").replace("__", ".").lower() in keys


def test_presets_exist():
    assert set(re.findall(r"--preset (\w+)", README)) <= set(PRESETS)


async def test_the_program_in_the_readme_runs_as_it_stands(script, scripted, serving, tmp_path):
    [program] = blocks("python")
    assert 'base_url="http://127.0.0.1:8765/v1"' in program
    async with serving(scripted(script({"say": "That is three hundred and ninety-one."}))) as (server, _):
        path = tmp_path / "program.py"
        path.write_text(program.replace("8765", str(server.port)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert out.decode() == "That is three hundred and ninety-one."


def test_every_decision_says_why_and_what():
    decisions = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [page.name[:4] for page in decisions] == [f"{n:04}" for n in range(1, len(decisions) + 1)]
    for page in decisions:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. ")
        for heading in ("Context", "Decision"):
            assert f"\n## {heading}\n" in text, (page, heading)
