"""The audit of the dependencies tells weak packages from an audit that could not be made."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"


@pytest.fixture(scope="module")
def audit():
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(**vulnerable) -> str:
    packages = [{"name": "safe", "version": "1", "vulns": []}, {"name": "local", "skip_reason": "editable"}]
    packages += [{"name": name, "version": "1.0", "vulns": found} for name, found in vulnerable.items()]
    return json.dumps({"dependencies": packages, "fixes": []})


def test_sound_packages_pass(audit):
    expected = "No known weaknesses in 1 packages; not audited: local."
    assert audit.judge(0, report(), "") == (0, expected)


def test_a_mirror_without_advisories_is_no_clean_bill(audit):
    skipped = {"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited"}
    status, message = audit.judge(0, json.dumps({"dependencies": [skipped]}), "No known vulnerabilities")
    assert status == 0 and message.startswith("Skipped: what answers for PyPI here knows no advisories")


def test_weak_ones_fail_and_are_named_with_what_mends_them(audit):
    weak = {
        "old": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}],
        "odd": [{"id": "PYSEC-2", "fix_versions": []}],
    }
    status, message = audit.judge(1, report(**weak), "Found 2 known vulnerabilities")
    assert status == 1
    assert message.splitlines()[1:] == [
        "odd 1.0: PYSEC-2, not mended yet",
        "old 1.0: PYSEC-1, mended in 1.1",
    ]


def test_what_does_not_concern_us_is_passed_over_by_either_name(audit, monkeypatch):
    monkeypatch.setitem(audit.ACCEPTED, "CVE-1", "not used here")
    weak = report(old=[{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": []}])
    assert audit.judge(1, weak, "").status == 0


def test_no_network_is_no_weakness_and_is_said(audit):
    errors = (
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='no.example', port=443): Max retries"
    )
    status, message = audit.judge(1, "", errors)
    assert status == 0 and message.startswith("Skipped: PyPI's advisories cannot be reached")


def test_an_audit_that_breaks_fails(audit):
    assert audit.judge(1, "", "ModuleNotFoundError: No module named pip_audit")[0] == 1
    assert audit.judge(0, "no json", "")[0] == 1


def test_the_script_itself_where_nobody_can_be_reached():
    pytest.importorskip("pip_audit")
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "NO_PROXY": ""}
    env = os.environ | nowhere | {"no_proxy": ""}
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, env=env, timeout=200)
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "Skipped"), done.stdout + done.stderr
