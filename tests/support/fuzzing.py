"""Spoilt input by the hundred thousand: quick, and the same every time.

hypothesis finds the small counterexample; this goes for numbers. Inputs are taken from a corpus that is kept
in ``tests/data/fuzz`` and spoilt in a few places, as bytes or, where they are JSON, in their structure. An
input that something was found with is added to the corpus.

``FUZZ_MESSAGES`` says how many of each kind: two thousand by default, a million under ``make fuzz``.
"""

from __future__ import annotations

import copy
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mutations import places

MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "2000"))
CORPUS = Path(__file__).parents[1] / "data" / "fuzz"
MAX_S = 2.0
"""Whatever takes longer hangs."""

NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**64), 10**30, 0.5, -0.0, 1e308, "", " ", "0", "null",
    "a" * 3000, "\0", "\ud800", "é", "data:", "data:image/png;base64,", "data:image/png;base64,AAAA", "====",
    "root", "auto", [], {}, [[]], [{}], {"": ""}, {"type": "message"}, ["AUDIO"], {"a": {"b": {"c": []}}},
)  # fmt: skip
"""Values that are somewhere at an edge."""
BYTES = (
    b"\0", b"\xff", b"\xed\xa0\x80", b'"', b"\\", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"null",
    b"1e999", b"NaN", b"-Infinity", b"9" * 400, b"\\u0000",
    b"[" * 200, b'{"a":' * 200, b"\r\n", b"\xef\xbb\xbf",
)  # fmt: skip


def kept(name: str) -> list[Any]:
    """The messages of a corpus, one a line."""
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


def spoilt_bytes(chance: random.Random, data: bytes) -> bytes:
    """Some bytes changed, taken out, doubled or put in."""
    spoilt = bytearray(data)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(spoilt) + 1)
        match chance.randrange(6):
            case 0 if at < len(spoilt):
                spoilt[at] = chance.randrange(256)
            case 1 if at < len(spoilt):
                spoilt[at] ^= 1 << chance.randrange(8)
            case 2:
                del spoilt[at : at + chance.randrange(1, 40)]
            case 3:
                spoilt[at:at] = chance.choice(BYTES)
            case 4:
                piece = spoilt[at : at + chance.randrange(1, 60)]
                spoilt[at:at] = piece
            case _:
                del spoilt[at:]
    return bytes(spoilt)


def spoilt_json(chance: random.Random, message: Any, corpus: Sequence[Any]) -> str:
    """Some values replaced, taken out, or put in; values come from other messages, too."""
    spoilt = copy.deepcopy(message)
    for _ in range(chance.randrange(1, 4)):
        found = places(spoilt)
        if not found:
            break
        container, key = chance.choice(found)
        match chance.randrange(4):
            case 0:
                container[key] = copy.deepcopy(chance.choice(NASTY))
            case 1:
                del container[key]
            case 2:
                other, name = chance.choice(places(chance.choice(corpus)))
                container[key] = copy.deepcopy(other[name])
            case _ if isinstance(container, dict):
                name = chance.choice(("", "type", "id", "extra", "item", "\ud800"))
                container[name] = copy.deepcopy(chance.choice(NASTY))
            case _:
                container.insert(key, copy.deepcopy(chance.choice(NASTY)))
    return json.dumps(spoilt)


def messages(seed: int, corpus: Sequence[Any], count: int) -> Iterator[str | bytes]:
    """So many messages: half of them spoilt in their structure, a few not at all."""
    chance = random.Random(seed)
    written = [json.dumps(message).encode() for message in corpus]
    for _ in range(count):
        kind = chance.random()
        if kind < 0.5:
            yield spoilt_json(chance, chance.choice(corpus), corpus)
        elif kind < 0.95:
            spoilt = spoilt_bytes(chance, chance.choice(written))
            yield spoilt if chance.random() < 0.5 else spoilt.decode("utf-8", "replace")
        else:
            yield chance.choice(written)


def fuzz(name: str, inputs: Iterator[Any], take: Callable[[Any], bool]) -> None:
    """Give every input to ``take``, which says whether it was accepted and raises where something is wrong.

    Raises:
        AssertionError: It raised, or took too long; names the input, which belongs into the corpus.
    """
    began = time.perf_counter()
    accepted = total = 0
    slowest_s = 0.0
    for value in inputs:
        started = time.perf_counter()
        try:
            accepted += take(value)
        except Exception as error:
            raise AssertionError(f"{name}: {type(error).__name__} at input {total}: {value!r}") from error
        took_s = time.perf_counter() - started
        slowest_s = max(slowest_s, took_s)
        assert took_s < MAX_S, f"{name}: {took_s:.1f} s for input {total}: {value!r}"
        total += 1
    elapsed_s = time.perf_counter() - began
    sys.stdout.write(
        f"\n{name}: {total:,} inputs in {elapsed_s:.0f} s ({total / elapsed_s:,.0f} a second), "
        f"{accepted:,} accepted, the others refused; the slowest took {1000 * slowest_s:.0f} ms\n"
    )
