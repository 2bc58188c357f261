"""Each check of the installation on its own, over small models and other installations."""

import asyncio
import os
import socket
import sys

import pytest
from package_shelf import noise

from hearsight import checks
from hearsight.config.payloads import PayloadStore
from hearsight.config.settings import load_settings
from hearsight.findings import Finding


def by_check(findings) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings}


def test_python():
    finding = checks.check_python()
    assert finding.status == "ok"
    assert finding.found.startswith(f"Python {sys.version_info.major}.{sys.version_info.minor}.")


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    finding = checks.check_python()
    assert (finding.status, finding.mend) == ("failed", "Install Python 3.11 or newer.")


def test_packages_that_the_engine_needs_fail_and_others_are_noted(installation):
    installation(
        "core-thing>=1",
        "ear-thing==1.0; extra == 'embedded'",
        "mouth-thing; extra == 'embedded'",
        "sound-thing; extra == 'local'",
        "tensor-thing>=2; extra == 'gemma3n'",
        core_thing="1.5",
        ear_thing="1.0",
        tensor_thing="1.0",
    )
    findings = by_check(checks.check_packages(load_settings().settings))
    assert findings["packages, core"] == Finding("packages, core", "ok", "all 1 installed")
    assert findings["packages, embedded"] == Finding(
        "packages, embedded", "failed", "missing: mouth-thing", "Run `pip install 'hearsight[embedded]'`."
    )
    assert findings["packages, local"].status == "note"
    assert findings["packages, gemma3n"] == Finding(
        "packages, gemma3n",
        "note",
        "other versions: tensor-thing 1.0 (wanted >=2)",
        "Run `pip install 'hearsight[gemma3n]'`.",
    )


def test_what_mcp_servers_need_may_be_missing_where_there_are_none(installation):
    installation("protocol-thing; extra == 'mcp'")
    without, servers = load_settings().settings, {"tools.mcp.x.command": "x"}
    assert by_check(checks.check_packages(without))["packages, mcp"].status == "note"
    with_one = load_settings(overrides=servers).settings
    assert by_check(checks.check_packages(with_one))["packages, mcp"] == Finding(
        "packages, mcp", "failed", "missing: protocol-thing", "Run `pip install 'hearsight[mcp]'`."
    )


def test_what_another_engine_needs_may_be_missing(installation, script, scripted):
    installation("ear; extra == 'embedded'")
    settings = scripted(script())
    assert by_check(checks.check_packages(settings))["packages, embedded"].status == "note"
    assert checks.check_engine(settings) == Finding("engine", "ok", "scripted")
    assert checks.check_engine(load_settings().settings).status == "failed"


def test_an_engine_elsewhere_needs_its_extra_here(installation):
    installation("sdk-like>=3; extra == 'openai'")
    finding = checks.check_engine(load_settings(preset="vllm").settings)
    assert finding.status == "failed" and "hearsight[openai]" in finding.found


def test_models_are_read_and_hashed(model_cache, manifest):
    seen = []
    store = PayloadStore(model_cache, manifest=manifest)
    settings = load_settings().settings
    findings = by_check(checks.check_models(settings, store, lambda *progress: seen.append(progress)))
    assert [finding.status for finding in findings.values()] == ["ok", "ok", "ok"]
    assert list(findings) == ["model, ear", "model, eye", "model, brain"], (
        "what another engine needs is left out"
    )
    assert seen[-1] == ("brain", 4000, 4000)
    # Same name, size and time of change: only reading it shows the damage.
    path = model_cache / "brain" / "brain.bin"
    times = path.stat()
    path.write_bytes(noise(4000, seed=1))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    damaged = by_check(checks.check_models(settings, store, None))["model, brain"]
    assert damaged.status == "failed" and "hearsight models pull brain" in damaged.found


def test_a_damaged_model_that_is_optional_is_noted(model_cache, manifest):
    (model_cache / "eye" / "eye.bin").write_bytes(noise(4000, seed=1))
    findings = checks.check_models(
        load_settings().settings, PayloadStore(model_cache, manifest=manifest), None
    )
    assert by_check(findings)["model, eye"].status == "note"


@pytest.mark.parametrize(
    ("offline", "needed", "optional"), [(False, "note", "note"), (True, "failed", "note")]
)
def test_missing_models_fail_only_where_nothing_may_be_fetched(tmp_path, manifest, offline, needed, optional):
    settings = load_settings(overrides={"models.offline": offline}).settings
    findings = by_check(checks.check_models(settings, PayloadStore(tmp_path, manifest=manifest), None))
    assert {finding.found for finding in findings.values()} == {"not on this machine"}
    assert (findings["model, brain"].status, findings["model, eye"].status) == (needed, "note")
    assert "hearsight models pull" in findings["model, ear"].mend


def test_disk(tmp_path, manifest):
    settings = load_settings(overrides={"models.cache_dir": tmp_path / "not" / "yet"}).settings
    finding = checks.check_disk(settings, PayloadStore(settings.models.cache_dir, manifest=manifest))
    assert finding.status == "ok" and str(tmp_path / "not" / "yet") in finding.found


def test_a_full_disk(tmp_path, manifest, monkeypatch):
    settings = load_settings(overrides={"models.cache_dir": tmp_path}).settings
    usage = type("usage", (), {"free": 23_999})
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: usage)
    store = PayloadStore(tmp_path, manifest=manifest)
    assert checks.check_disk(settings, store).status == "failed", "three files of 4,000 bytes, twice"
    usage.free = 24_000
    assert checks.check_disk(settings, store).status == "ok"


def test_a_full_disk_does_not_matter_once_the_models_are_there(model_cache, manifest, monkeypatch):
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: type("usage", (), {"free": 0}))
    store = PayloadStore(model_cache, manifest=manifest)
    assert checks.check_disk(load_settings().settings, store).status == "ok"


def test_memory_follows_the_model_and_its_context():
    def needed(**embedded):
        overrides = {f"embedded.{key}": value for key, value in embedded.items()}
        settings = load_settings(overrides=overrides).settings
        return checks.memory_needed_bytes(settings, PayloadStore(settings.models.cache_dir))

    usual = needed()
    assert 2.0e9 < usual < 3.5e9
    assert needed(language_model="qwen2.5-0.5b") < usual - 1e9
    assert usual - needed(context_tokens=16_384) == 16_384 * 28_672


@pytest.mark.parametrize(("limit", "status"), [("max", "ok"), ("1000000000", "failed")])
def test_the_limit_of_a_container_counts(tmp_path, monkeypatch, limit, status):
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    monkeypatch.setattr(checks, "CGROUP_LIMIT", tmp_path / "memory.max")
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**21}.__getitem__)
    settings = load_settings().settings
    finding = checks.check_memory(settings, PayloadStore(tmp_path))
    assert finding.status == status
    assert ("0.9 GB" if limit != "max" else "8.0 GB") in finding.found
    if status == "failed":
        assert "embedded.language_model = qwen2.5-0.5b" in finding.mend


def port_finding(host: str, port: int) -> Finding:
    overrides = {"server.host": host, "server.port": port, "server.api_keys": ["x"]}
    return checks.check_port(load_settings(overrides=overrides).settings)


def test_a_free_port(unused_tcp_port):
    assert port_finding("127.0.0.1", unused_tcp_port).found == f"127.0.0.1 port {unused_tcp_port} is free"
    assert port_finding("127.0.0.1", 0).found == "127.0.0.1, any free port"


def test_a_port_that_another_program_uses():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        finding = port_finding("127.0.0.1", listener.getsockname()[1])
    assert finding.status == "failed" and "another program uses it" in finding.found
    assert "server.port" in finding.mend


def test_an_address_of_another_machine():
    assert "this machine has no such address" in port_finding("192.0.2.1", 8765).found
    assert "there is no such host" in port_finding("no-such-host.invalid", 8765).found


async def test_a_server_that_runs_already_is_recognised(script, scripted, serving):
    async with serving(scripted(script())) as (server, _):
        finding = await asyncio.to_thread(port_finding, "127.0.0.1", server.port)
    assert finding.status == "ok"
    assert finding.found == f"a Hearsight server is already running at 127.0.0.1 port {server.port}"
