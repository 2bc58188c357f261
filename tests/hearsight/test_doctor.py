"""`hearsight doctor` over a small store of models."""

import json

from package_shelf import noise
from typer.testing import CliRunner

from hearsight.cli import app


def run(*arguments: str, **variables: str):
    return CliRunner().invoke(app, ["doctor", *arguments], env={"COLUMNS": "200", **variables})


def test_a_machine_that_is_ready(model_cache):
    result = run("--json", HEARSIGHT_SERVER__PORT="0")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    report = json.loads(result.stdout)
    assert report["ok"] is True
    assert {"check", "status", "found", "mend"} == report["findings"][0].keys()
    names = [finding["check"] for finding in report["findings"]]
    assert names[:2] == ["settings", "python"]
    assert {"engine", "model, brain", "disk", "memory", "port", "camera", "gpu"} <= set(names)
    assert len(set(names)) == len(names)


def test_a_damaged_model_ends_with_status_1(model_cache):
    (model_cache / "brain" / "brain.bin").write_bytes(noise(4000, seed=1))
    result = run(HEARSIGHT_SERVER__PORT="0")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[-1].startswith("Needs mending: model, brain.")
    [line] = [line for line in lines if line.startswith("✗")]
    assert "hearsight models pull brain" in line
    assert any(line.startswith("✓  model, ear") for line in lines)


def test_wrong_settings_fail_and_the_rest_is_checked_all_the_same(model_cache, tmp_path):
    (tmp_path / "mine.toml").write_text("[server]\nprot = 1\n")
    result = run("--json", "--config", str(tmp_path / "mine.toml"))
    assert result.exit_code == 1
    findings = {finding["check"]: finding for finding in json.loads(result.stdout)["findings"]}
    assert findings["settings"]["status"] == "failed"
    assert "did you mean server.port?" in findings["settings"]["found"]
    assert findings["python"]["status"] == "ok"
