"""The inputs of the model of capacity: each with its source, and replaced by what was measured or given."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_type_hints

from report import ROOT

Kind = Literal["measured", "computed", "assumed", "data sheet"]


@dataclass(frozen=True, slots=True)
class Input:
    """Where a number comes from.

    Attributes:
        kind: ``measured`` here, ``computed`` from the model's dimensions, ``data sheet``, or ``assumed``.
        source: Where it can be looked up, or why it was assumed.
        unit: What it counts.
    """

    kind: Kind
    source: str
    unit: str


SOURCES: dict[str, Input] = {
    "turns_per_minute": Input(
        "assumed", "a lively conversation: a turn every 20 s", "turns per live session"
    ),
    "speech_s": Input("assumed", "seconds that the user speaks in a turn", "s"),
    "pictures_per_turn": Input(
        "assumed", "the camera is on, and the newest frame belongs to the turn", "pictures"
    ),
    "answer_tokens": Input("assumed", "three spoken sentences", "tokens"),
    "history_tokens": Input("assumed", "context of an average live session", "tokens"),
    "prompts_per_turn": Input(
        "assumed", "the answer, a speculation that came to nothing, a transcript", "requests"
    ),
    "tool_rounds": Input(
        "assumed", "one turn in four calls a tool and is answered in a second round", "per turn"
    ),
    "utilisation": Input("assumed", "load at which queues stay short; the rest is for peaks", "share"),
    "gateway_cpu_ms": Input(
        "assumed", "`make bench ARGS=sessions` measures it: CPU of a session that listens, a second", "ms/s"
    ),
    "speech_cpu_ms": Input("measured", "hibari: 0.72 s for 17.5 s of speech, on two busy cores", "ms/s"),
    "speaking_share": Input("assumed", "share of the time in which the assistant speaks", "share"),
    "gateway_mib": Input("assumed", "memory of a session in a gateway; not measured yet", "MiB"),
    "clip_tokens": Input("measured", "vLLM and transformers make 188 of every clip up to 30 s", "tokens"),
    "picture_tokens": Input("computed", "Gemma 3n: 16 × 16", "tokens"),
    "kv_kib_per_token": Input("measured", "docs/gemma3n.md: 8 KiB a token, E2B and E4B", "KiB"),
    "kv_mib_fixed": Input("measured", "docs/gemma3n.md: 16 MiB of sliding layers", "MiB"),
    "weights_gb": Input("computed", "docs/gemma3n.md: E2B in bfloat16", "GB"),
    "weights_read_gb": Input("measured", "docs/benchmarks.md, decoding: what a step reads", "GB"),
    "parameters_billion": Input(
        "computed", "decoder of E2B, without the head: what a token that is read is multiplied with", "10⁹"
    ),
    "bandwidth_share": Input(
        "measured", "docs/benchmarks.md, decoding: 63 % on a CPU; on a GPU not measured", "share"
    ),
    "gpu_memory_gb": Input("data sheet", "H100 SXM, 80 GB", "GB"),
    "gpu_memory_share": Input("assumed", "vLLM's default for --gpu-memory-utilization", "share"),
    "gpu_bandwidth_gb_s": Input("data sheet", "H100 SXM", "GB/s"),
    "gpu_tflops": Input("data sheet", "H100 SXM, bfloat16, dense", "TFLOP/s"),
    "compute_share": Input("assumed", "prefill of a small model in vLLM; on a GPU not measured", "share"),
    "encoder_gflop_per_s": Input("computed", "audio tower: 33 GFLOP for a second of speech", "GFLOP"),
    "picture_gflop": Input("assumed", "vision tower at 768 px; from its time on a CPU (1.4 to 3 s)", "GFLOP"),
    "cached_share": Input("assumed", "share of the history that the prefix cache still has", "share"),
    "decode_batch": Input(
        "assumed", "sequences that a GPU writes at a time; vLLM's default is up to 256", "sequences"
    ),
}


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that the model goes by; `SOURCES` says where each number comes from."""

    turns_per_minute: float = 3.0
    speech_s: float = 4.0
    pictures_per_turn: float = 1.0
    answer_tokens: float = 60.0
    history_tokens: float = 6_000.0
    prompts_per_turn: float = 2.5
    tool_rounds: float = 0.25
    utilisation: float = 0.6
    gateway_cpu_ms: float = 10.0
    speech_cpu_ms: float = 41.0
    speaking_share: float = 0.3
    gateway_mib: float = 8.0
    clip_tokens: float = 188.0
    picture_tokens: float = 256.0
    kv_kib_per_token: float = 8.0
    kv_mib_fixed: float = 16.0
    weights_gb: float = 10.8
    weights_read_gb: float = 4.84
    parameters_billion: float = 1.9
    bandwidth_share: float = 0.5
    gpu_memory_gb: float = 80.0
    gpu_memory_share: float = 0.9
    gpu_bandwidth_gb_s: float = 3_350.0
    gpu_tflops: float = 989.0
    compute_share: float = 0.3
    encoder_gflop_per_s: float = 33.0
    picture_gflop: float = 500.0
    cached_share: float = 0.9
    decode_batch: float = 64.0


def with_measured(
    inputs: Inputs, results: Path = ROOT / "bench" / "results"
) -> tuple[Inputs, dict[str, Input]]:
    """The inputs with what `make bench` has measured in place of what was assumed, and their sources."""
    sources = dict(SOURCES)
    path = results / "sessions.json"
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        held = [level for level in stored["data"]["levels"] if level["real_time"]]
        if held:
            best = max(held, key=lambda level: level["sessions"])
            inputs = replace(inputs, gateway_cpu_ms=round(best["cpu_ms_per_session_s"], 1))
            source = f"docs/benchmarks.md, live sessions: {best['sessions']} in one process, {stored['date']}"
            sources["gateway_cpu_ms"] = Input("measured", source, "ms/s")
    return inputs, sources


def changed(inputs: Inputs, assignments: Sequence[str]) -> Inputs:
    """The inputs with others in their place.

    Raises:
        ValueError: One is no input, or no number above zero.
    """
    known = get_type_hints(Inputs)
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        if name not in known:
            raise ValueError(f"There is no input {name!r}; there are {', '.join(known)}.")
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{name} wants a number, not {text!r}.") from None
        if not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{name} cannot be {text}.")
        inputs = replace(inputs, **{name: value})
    return inputs
