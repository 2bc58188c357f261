"""How many gateways and GPUs so many live sessions take: a model whose inputs stand here, with their sources.

Everything is computed from the inputs, and every input can be set: ``capacity.py --input answer_tokens=120``.
An input that was not measured says so, and what depends on it is no better than it is.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal, get_type_hints

from report import Table

LIVE_SESSIONS = (1_000, 100_000, 1_000_000)
ROOT = Path(__file__).resolve().parent.parent
GIB = 2**30
KIB = 2**10

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


# --- one session ----------------------------------------------------------------------------------------


def kv_bytes(inputs: Inputs) -> float:
    """KV cache of an average session."""
    return inputs.kv_mib_fixed * 2**20 + inputs.history_tokens * inputs.kv_kib_per_token * KIB


def new_tokens_per_prompt(inputs: Inputs) -> float:
    """Tokens of a prompt that no cache has: what was said and shown, and what was lost of the history."""
    media = inputs.clip_tokens + inputs.pictures_per_turn * inputs.picture_tokens
    return media + (1 - inputs.cached_share) * inputs.history_tokens


def prompts_per_s(inputs: Inputs) -> float:
    """Requests of one live session, a second."""
    return inputs.turns_per_minute / 60 * (inputs.prompts_per_turn + inputs.tool_rounds)


def prefill_flop_per_s(inputs: Inputs) -> float:
    """Arithmetic of reading, for one live session, a second: two operations a parameter, and the towers."""
    text = 2 * inputs.parameters_billion * 1e9 * new_tokens_per_prompt(inputs)
    audio = inputs.encoder_gflop_per_s * 1e9 * inputs.speech_s
    pictures = inputs.pictures_per_turn * inputs.picture_gflop * 1e9
    # What was encoded for a guess is in the server's cache of encoded media only if nothing was added to it.
    return prompts_per_s(inputs) * (text + audio) + inputs.turns_per_minute / 60 * pictures


def decode_tokens_per_s(inputs: Inputs) -> float:
    """Tokens that are written for one live session, a second, those of guesses and calls included."""
    return inputs.turns_per_minute / 60 * (1 + inputs.tool_rounds) * inputs.answer_tokens


# --- one GPU --------------------------------------------------------------------------------------------


def gpu_sessions_by_memory(inputs: Inputs) -> float:
    """Sessions whose caches are kept."""
    free = inputs.gpu_memory_gb * 1e9 * inputs.gpu_memory_share - inputs.weights_gb * 1e9
    return free / kv_bytes(inputs)


def gpu_decode_tokens_per_s(inputs: Inputs) -> float:
    """Tokens that a GPU writes in a second: a step reads the weights, and the cache of every sequence."""
    read = inputs.weights_read_gb * 1e9 + inputs.decode_batch * kv_bytes(inputs)
    return inputs.decode_batch * inputs.gpu_bandwidth_gb_s * 1e9 * inputs.bandwidth_share / read


def gpu_prefill_flop_per_s(inputs: Inputs) -> float:
    """Arithmetic that a GPU does in a second while it reads."""
    return inputs.gpu_tflops * 1e12 * inputs.compute_share


def gpu_sessions_by_work(inputs: Inputs) -> float:
    """Live sessions for which a GPU reads and writes, one beside the other."""
    busy = decode_tokens_per_s(inputs) / gpu_decode_tokens_per_s(inputs)
    busy += prefill_flop_per_s(inputs) / gpu_prefill_flop_per_s(inputs)
    return inputs.utilisation / busy


def gpu_sessions(inputs: Inputs) -> float:
    """Live sessions of one GPU: whichever is scarcer."""
    return min(gpu_sessions_by_memory(inputs), gpu_sessions_by_work(inputs))


# --- one core -------------------------------------------------------------------------------------------


def core_sessions(inputs: Inputs) -> float:
    """Live sessions of one core of a gateway: it listens all the time, and speaks for a part of it."""
    each = inputs.gateway_cpu_ms + inputs.speaking_share * inputs.speech_cpu_ms
    return inputs.utilisation * 1000 / each


# --- tables ---------------------------------------------------------------------------------------------

STEPS: Sequence[tuple[str, str, Callable[[Inputs], float], str]] = (
    (
        "KV cache of a session",
        "kv_mib_fixed + history_tokens × kv_kib_per_token",
        lambda i: kv_bytes(i) / 2**20,
        "MiB",
    ),
    ("sessions in a GPU's memory", "(memory × share − weights) ÷ KV cache", gpu_sessions_by_memory, ""),
    ("new tokens of a prompt", "clip + pictures + history not cached", new_tokens_per_prompt, "tokens"),
    ("requests of a session", "turns × (prompts + tool rounds)", prompts_per_s, "a second"),
    (
        "reading for a session",
        "requests × (2 × parameters × tokens + audio) + pictures",
        lambda i: prefill_flop_per_s(i) / 1e12,
        "TFLOP/s",
    ),
    ("reading of a GPU", "TFLOP/s × share", lambda i: gpu_prefill_flop_per_s(i) / 1e12, "TFLOP/s"),
    ("writing for a session", "turns × (1 + tool rounds) × answer", decode_tokens_per_s, "tokens/s"),
    (
        "writing of a GPU",
        "batch × bandwidth × share ÷ (weights + batch × KV cache)",
        gpu_decode_tokens_per_s,
        "tokens/s",
    ),
    ("sessions by a GPU's work", "utilisation ÷ (reading + writing)", gpu_sessions_by_work, ""),
    ("sessions of a GPU", "the lesser of the two", gpu_sessions, ""),
    ("sessions of a core", "utilisation ÷ (listening + share of speaking)", core_sessions, ""),
)


def inputs_table(inputs: Inputs, sources: dict[str, Input]) -> Table:
    """What the model goes by."""
    rows = []
    for field in fields(inputs):
        source = sources[field.name]
        value = f"{getattr(inputs, field.name):,g} {source.unit}"
        rows.append([field.name, value, source.kind, source.source])
    return Table("Inputs", ["input", "value", "kind", "source"], rows)


def steps_table(inputs: Inputs) -> Table:
    """From the inputs to what one GPU and one core hold."""
    rows = [[name, formula, f"{number(step(inputs))} {unit}".strip()] for name, formula, step, unit in STEPS]
    return Table("One session, one GPU, one core", ["what", "how", "comes to"], rows)


def sizes_table(inputs: Inputs, live: Sequence[int] = LIVE_SESSIONS) -> Table:
    """What so many live sessions take."""
    rows = []
    for sessions in live:
        gpus = math.ceil(sessions / gpu_sessions(inputs))
        cores = math.ceil(sessions / core_sessions(inputs))
        memory = sessions * inputs.gateway_mib / 1024
        caches = sessions * kv_bytes(inputs) / 1e12
        requests = sessions * prompts_per_s(inputs)
        rows.append(
            [
                f"{sessions:,}",
                f"{cores:,}",
                f"{memory:,.0f} GiB",
                f"{gpus:,}",
                f"{caches:,.2f} TB",
                f"{requests:,.0f}",
            ]
        )
    columns = ["live sessions", "gateway cores", "gateway memory", "GPUs", "KV caches", "requests a second"]
    return Table("Sizes", columns, rows)


def number(value: float) -> str:
    """With three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


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


def markdown(table: Table) -> str:
    """A table as it stands in docs/scaling.md."""
    lines = [f"| {' | '.join(table.columns)} |", f"| {' | '.join('---' for _ in table.columns)} |"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in table.rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="An input of yours; may be given often.",
    )
    parser.add_argument("--sessions", type=int, nargs="*", default=list(LIVE_SESSIONS))
    arguments = parser.parse_args()
    inputs, sources = with_measured(Inputs())
    try:
        inputs = changed(inputs, arguments.input)
    except ValueError as error:
        parser.error(str(error))
    for assignment in arguments.input:
        name = assignment.partition("=")[0]
        sources[name] = replace(sources[name], kind="assumed", source="given on the command line")
    for table in (
        inputs_table(inputs, sources),
        steps_table(inputs),
        sizes_table(inputs, arguments.sessions),
    ):
        print(f"\n**{table.title}**\n\n{markdown(table)}")


if __name__ == "__main__":
    main()
