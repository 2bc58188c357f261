"""The capacity model: its arithmetic, its sources, and the tables of docs/scaling.md."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "bench"))

import capacity  # noqa: E402
import capacity_inputs  # noqa: E402
from capacity_inputs import SOURCES, Inputs  # noqa: E402

PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")


def test_every_input_says_where_it_comes_from() -> None:
    assert set(SOURCES) == {field.name for field in fields(Inputs)}
    assert all(source.source and source.unit for source in SOURCES.values())


def test_what_is_said_to_be_measured_is_on_the_page_that_is_named() -> None:
    numbers = {
        "weights_read_gb": ("docs/benchmarks.md", "a token reads 4.84 GB"),
        "kv_kib_per_token": ("docs/gemma3n.md", "16 MiB and 8 KiB a token"),
        "kv_mib_fixed": ("docs/gemma3n.md", "16 MiB and 8 KiB a token"),
        "weights_gb": ("docs/gemma3n.md", "weights in bfloat16 | 10.8 GB"),
    }
    for name, (page, words) in numbers.items():
        assert words in (ROOT / page).read_text(encoding="utf-8"), name
        assert page in SOURCES[name].source


def test_a_cache_is_what_the_documentation_says() -> None:
    """A full context of 32,768 tokens is 272 MiB."""
    assert capacity.kv_bytes(replace(Inputs(), history_tokens=32_768)) == 272 * 2**20


def test_writing_for_one_is_bound_by_the_weights() -> None:
    """On the CPU of docs/benchmarks.md: 30.6 GB/s give 6.3 tokens a second, as that page has it."""
    alone = replace(
        Inputs(), decode_batch=1, history_tokens=0, kv_mib_fixed=0, gpu_bandwidth_gb_s=30.6, bandwidth_share=1
    )
    assert capacity.gpu_decode_tokens_per_s(alone) == pytest.approx(6.3, abs=0.05)


def test_the_scarcer_of_memory_and_work_decides() -> None:
    short_of_memory = replace(Inputs(), gpu_memory_gb=16)
    assert capacity.gpu_sessions(short_of_memory) == capacity.gpu_sessions_by_memory(short_of_memory)
    busy = replace(Inputs(), turns_per_minute=30)
    assert capacity.gpu_sessions(busy) == capacity.gpu_sessions_by_work(busy)


positive = st.floats(0.1, 10)


@given(
    factor=positive,
    name=st.sampled_from(["turns_per_minute", "speech_s", "history_tokens", "pictures_per_turn"]),
)
def test_more_to_do_takes_no_fewer_gpus(factor: float, name: str) -> None:
    more = replace(Inputs(), **{name: getattr(Inputs(), name) * (1 + factor)})
    assert capacity.gpu_sessions(more) <= capacity.gpu_sessions(Inputs())


@given(
    factor=positive,
    name=st.sampled_from(["gpu_tflops", "gpu_bandwidth_gb_s", "compute_share", "utilisation"]),
)
def test_a_faster_gpu_holds_no_fewer_sessions(factor: float, name: str) -> None:
    faster = replace(Inputs(), **{name: getattr(Inputs(), name) * (1 + factor)})
    assert capacity.gpu_sessions(faster) >= capacity.gpu_sessions(Inputs())


def test_sizes_grow_with_the_sessions() -> None:
    rows = capacity.sizes_table(Inputs()).rows
    gpus = [int(row[3].replace(",", "")) for row in rows]
    assert gpus[1] == pytest.approx(100 * gpus[0], rel=0.3)
    assert gpus[2] == pytest.approx(10 * gpus[1], rel=0.01)
    [one] = capacity.sizes_table(Inputs(), [1]).rows
    assert one[1] == one[3] == "1"


def test_a_measurement_takes_the_place_of_an_assumption(tmp_path: Path) -> None:
    levels = [
        {"sessions": 40, "cpu_ms_per_session_s": 12.34, "real_time": True},
        {"sessions": 80, "cpu_ms_per_session_s": 20.0, "real_time": False},
    ]
    (tmp_path / "sessions.json").write_text(json.dumps({"date": "2026-01-02", "data": {"levels": levels}}))
    inputs, sources = capacity_inputs.with_measured(Inputs(), tmp_path)
    assert inputs.gateway_cpu_ms == 12.3
    assert sources["gateway_cpu_ms"].kind == "measured"
    assert "40 in one process, 2026-01-02" in sources["gateway_cpu_ms"].source
    assert capacity_inputs.with_measured(Inputs(), tmp_path / "none") == (Inputs(), SOURCES)


def test_inputs_of_one_s_own() -> None:
    own = capacity_inputs.changed(Inputs(), ["answer_tokens=120", "turns_per_minute=1.5"])
    assert (own.answer_tokens, own.turns_per_minute) == (120, 1.5)
    for wrong, words in (
        ("answers=1", "There is no input 'answers'"),
        ("speech_s=long", "wants a number"),
        ("speech_s=-1", "cannot be -1"),
        ("speech_s=nan", "cannot be nan"),
    ):
        with pytest.raises(ValueError, match=words):
            capacity_inputs.changed(Inputs(), [wrong])


def test_the_program_prints_its_tables_and_refuses_nonsense() -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "bench" / "capacity.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run("--input", "history_tokens=1000", "--sessions", "5")
    assert done.returncode == 0, done.stderr
    assert "| history_tokens | 1,000 tokens | assumed | given on the command line |" in done.stdout
    assert "| 5 | " in done.stdout
    refused = run("--input", "nonsense=1")
    assert refused.returncode == 2 and "There is no input 'nonsense'" in refused.stderr


def test_the_page_shows_what_the_program_computes() -> None:
    inputs, sources = Inputs(), SOURCES
    for table in (
        capacity.inputs_table(inputs, sources),
        capacity.steps_table(inputs),
        capacity.sizes_table(inputs),
    ):
        assert capacity.markdown(table) in PAGE, (
            f"{table.title}: run `python bench/capacity.py` and put it there"
        )
