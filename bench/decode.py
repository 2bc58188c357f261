"""Tokens per second of decoding, beside what the memory's bandwidth allows.

    python bench/decode.py --size e2b --json decode.json

Every token of an answer reads all weights of the decoder once, so that bandwidth over bytes is the ceiling.
Answers of several sessions decoded together share the read.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from gemma3n_random import SIZES, build, machine, save, synchronise, table, text_ids

from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import TokenEmbedder

PROMPT_TOKENS = 256
BATCHES = (1, 2, 4)


def bandwidth_bytes_per_s(device: str) -> float:
    """How fast weights can be read: a matrix far larger than any cache times a vector, the best of five.

    In float32, whose products cost a CPU no conversions.
    """
    matrix = torch.zeros(8192, 32_768, device=device)
    vector = torch.zeros(32_768, device=device)
    best = float("inf")
    for _ in range(5):
        synchronise(device)
        started = time.perf_counter()
        _ = matrix @ vector
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return matrix.numel() * matrix.element_size() / best


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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="e2b")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if unset")
    parser.add_argument("--tokens", type=int, default=12)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    bandwidth = bandwidth_bytes_per_s(arguments.device)
    model = build(arguments.size, arguments.device)
    read = bytes_per_token(model)
    print(
        f"{bandwidth / 1e9:.1f} GB/s; {read / 1e9:.2f} GB read per token: "
        f"at most {bandwidth / read:.1f} tokens/s"
    )
    steps = {"generate": (1, theirs(model, arguments.device, arguments.tokens))}
    for batch in BATCHES:
        steps[f"ours x{batch}"] = (batch, ours(model, arguments.device, batch, arguments.tokens))
    rows = [
        [name, f"{step * 1e3:.0f} ms", f"{batch / step:.1f}", f"{read / step / bandwidth:.0%}"]
        for name, (batch, step) in steps.items()
    ]
    print(table(["", "step", "tokens/s", "share of the bandwidth"], rows))
    result = {
        "size": arguments.size,
        "machine": machine(arguments.device),
        "bandwidth_bytes_per_s": bandwidth,
    }
    result |= {"bytes_per_token": read, "step_s": {name: step for name, (_, step) in steps.items()}}
    save(arguments.json, result)


if __name__ == "__main__":
    main()
