"""Tokens per second of decoding, beside what the memory's bandwidth allows.

    python bench/decode.py --size e2b --json decode.json

Every token of an answer reads all weights of the decoder once, so that bandwidth over bytes is the ceiling.
Answers of several sessions decoded together share the read.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import torch
from gemma3n_random import build, machine, parser, save, synchronise, text_ids
from report import Result, Table, show
from rich.console import Console
from torch.profiler import ProfilerActivity, profile

from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import TokenEmbedder
from hearsight.agent.models.gemma3n.few_rows import use_few_rows

PROMPT_TOKENS = 256
BATCHES = (1, 2, 4)
ROUNDS = 5
THEIRS = "transformers' generate"

OTHER, BETWEEN = "everything else, some thousand small operations", "between them"
KINDS = {
    "products with weights": ("addmm", "addmv", "aten::mm", "aten::mv", "gemm", "gemv"),
    "attention": ("attention", "aten::bmm", "flash", "softmax"),
    OTHER: (),
}
"""Kinds of operations, by what their names hold."""

METHOD = """\
Random weights at the true dimensions of Gemma 3n {size} in bfloat16 on {device}; the median of {rounds}
rounds of {tokens} tokens each, turn about. Every token reads all weights of the decoder and of the head once,
so the ceiling is the bandwidth of the memory: a float32 matrix of a gigabyte times a vector, over and over
for a second before and a second after what is compared with it. Sessions that are decoded together share the
read."""


def bandwidth_bytes_per_s(device: str) -> float:
    """How fast weights can be read now: a matrix far larger than any cache times a vector, for a second.

    In float32, whose products cost a CPU no conversions.
    """
    matrix = torch.ones(8192, 32_768, device=device)
    vector = torch.ones(32_768, device=device)
    _ = matrix @ vector
    synchronise(device)
    times, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < 1:
        _ = matrix @ vector
        synchronise(device)
        times += 1
    return times * matrix.numel() * matrix.element_size() / spent


def bytes_per_token(model: Any) -> int:
    """Weights that one token reads: the decoder and the head, of lookups nothing."""
    text = model.model.language_model
    lookups = {id(text.embed_tokens_per_layer.weight), id(text.embed_tokens.weight)}
    read = sum(p.numel() * p.element_size() for p in text.parameters() if id(p) not in lookups)
    return read + model.lm_head.weight.numel() * model.lm_head.weight.element_size()


def ours(model: Any, device: str, batch: int, tokens: int) -> float:
    """Seconds for a step of so many answers decoded together."""
    decoder, embedder = TextDecoder(model), TokenEmbedder(model)
    caches = [decoder.new_cache() for _ in range(batch)]
    for seed, cache in enumerate(caches):
        decoder.prefill(cache, embedder.tokens(text_ids(PROMPT_TOKENS, seed)))
    started = 0.0
    for number in range(tokens + 1):
        if number == 1:
            synchronise(device)
            started = time.perf_counter()
        chosen = decoder.logits(caches).argmax(-1).tolist()
        decoder.step(caches, embedder.tokens(chosen))
    synchronise(device)
    return (time.perf_counter() - started) / tokens


@torch.inference_mode()
def theirs(model: Any, device: str, tokens: int) -> float:
    """Seconds for a token with transformers' ``generate``, prefill taken off."""
    ids = torch.tensor([text_ids(PROMPT_TOKENS)], device=device)
    options = {"do_sample": False, "eos_token_id": None, "attention_mask": torch.ones_like(ids)}
    times = []
    for count in (1, tokens + 1):
        synchronise(device)
        started = time.perf_counter()
        model.generate(ids, min_new_tokens=count, max_new_tokens=count, **options)
        synchronise(device)
        times.append(time.perf_counter() - started)
    return (times[1] - times[0]) / tokens


def profile_step(model: Any, device: str) -> list[list[str]]:
    """Where the time of one session's step goes, by kind of operation, as rows of a table."""
    decoder, embedder = TextDecoder(model), TokenEmbedder(model)
    cache = decoder.new_cache()
    decoder.prefill(cache, embedder.tokens(text_ids(PROMPT_TOKENS)))

    def step() -> None:
        chosen = decoder.logits([cache]).argmax(-1).tolist()
        decoder.step([cache], embedder.tokens(chosen))
        synchronise(device)

    step()
    started = time.perf_counter()
    step()
    plain = time.perf_counter() - started
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device != "cpu" else [])
    with profile(activities=activities) as taken:
        step()
    spent = dict.fromkeys(KINDS, 0.0)
    for event in taken.key_averages():
        kind = next((kind for kind, names in KINDS.items() if any(n in event.key for n in names)), OTHER)
        own = event.self_cpu_time_total if device == "cpu" else event.self_device_time_total
        spent[kind] += own / 1e6
    rest = max(0.0, plain - sum(spent.values()))
    return [[kind, f"{s * 1e3:.0f} ms", f"{s / plain:.0%}"] for kind, s in {**spent, BETWEEN: rest}.items()]


def run(size: str = "e2b", device: str | None = None, tokens: int = 12) -> Result:
    """Measure on this machine's GPU, else on its CPU."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = build(size, device)
    read = bytes_per_token(model)
    ways: dict[str, tuple[int, Callable[[], float]]] = {
        THEIRS: (1, lambda: theirs(model, device, tokens)),
        **{_sessions(batch): (batch, partial(ours, model, device, batch, tokens)) for batch in BATCHES},
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    found: dict[str, list[float]] = {name: [] for name in ways}
    bandwidths = []
    for _ in range(ROUNDS):
        for name, (_, way) in ways.items():
            use_few_rows(model, wanted=name != THEIRS)
            before = bandwidth_bytes_per_s(device)
            taken[name].append(way())
            around = (before + bandwidth_bytes_per_s(device)) / 2
            found[name].append(read / taken[name][-1] / around)
            bandwidths.append(around)
    bandwidth = median(bandwidths)
    steps = {name: (batch, median(taken[name])) for name, (batch, _) in ways.items()}
    shares = {name: median(found[name]) for name in ways}
    rows = [
        [name, f"{step * 1e3:.0f} ms", f"{batch / step:.1f}", f"{shares[name]:.0%}"]
        for name, (batch, step) in steps.items()
    ]
    single = shares[_sessions(1)]
    where = profile_step(model, device)
    return Result(
        part="decode",
        heading="Gemma 3n: decoding",
        method=METHOD.format(size=size.upper(), device=device, rounds=ROUNDS, tokens=tokens),
        tables=[
            Table("Writing", ("", "step", "tokens/s", "share of the bandwidth"), rows),
            Table("One step of one session under the profiler", ("", "time", "of a step"), where),
        ],
        findings=[
            f"The memory gives {bandwidth / 1e9:.1f} GB/s, and a token reads {read / 1e9:.2f} GB: at most "
            f"{bandwidth / read:.1f} tokens/s for one session.",
            f"One session takes {single:.0%} of that (aimed at: 60 %, "
            f"{'reached' if single >= 0.6 else 'missed'}). The second table says where the rest goes: "
            "products read bfloat16 more slowly than the float32 of the ceiling, and many small operations "
            "(AltUp, norms, gates, casts) read next to nothing.",
        ],
        data={
            "machine": machine(device),
            "bandwidth_bytes_per_s": bandwidth,
            "bytes_per_token": read,
            "step_s": {name: step for name, (_, step) in steps.items()},
        },
    )


def _sessions(batch: int) -> str:
    return "one session" if batch == 1 else f"{batch} sessions together"


def main() -> None:
    """Measure and print; the page is written by bench/run.py."""
    options = parser(__doc__)
    options.add_argument("--tokens", type=int, default=12)
    arguments = options.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    measured = run(arguments.size, arguments.device, arguments.tokens)
    show(measured, Console())
    save(arguments.json, measured.data)


if __name__ == "__main__":
    main()
