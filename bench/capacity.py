"""How many gateways and GPUs so many live sessions take: a model whose inputs stand in capacity_inputs.py.

Everything is computed from the inputs, and every input can be set: ``capacity.py --input answer_tokens=120``.
An input that was not measured says so, and what depends on it is no better than it is.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import fields, replace

from capacity_inputs import Input, Inputs, changed, with_measured
from report import Table

LIVE_SESSIONS = (1_000, 100_000, 1_000_000)
GIB = 2**30
KIB = 2**10

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
