"""Time from the end of speech to the first token: the usual way, with a warm history, and Hearsight's.

    python bench/ttft.py --size e2b --json ttft.json

A history of 1,300 tokens, one picture at 768 px, and speech of several lengths, in one process:

- **one-shot**: transformers' front ends and ``generate``, all of it after the speech has ended;
- **history cached**: the history is in the KV cache, picture and speech are encoded and prefilled at the end;
- **streamed**: picture and speech are encoded and prefilled as they arrive; once the picture with the first
  sample of the speech, and once ten seconds before, as from a camera that is running.

The streamed run is played against a virtual clock: samples arrive in real time, every step takes as long as
it is measured to take, and what has not been worked off when the speech ends counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from gemma3n_random import (
    SIZES,
    build,
    extractor,
    image_processor,
    machine,
    save,
    synchronise,
    text_ids,
)
from plot import draw_lines
from report import ROOT, Result, Table, show
from rich.console import Console

from hearsight.agent.models.gemma3n.adapter import TAIL_SILENCE_SAMPLES
from hearsight.agent.models.gemma3n.audio_encoder import StreamingAudioEncoder
from hearsight.agent.models.gemma3n.cache import KVCache
from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import Embedded, TokenEmbedder
from hearsight.agent.models.gemma3n.engine import CPU_WAIT_FOR, GPU_WAIT_FOR
from hearsight.agent.models.gemma3n.loading import CPU_STEP_TOKENS
from hearsight.agent.models.gemma3n.pictures import PictureEncoder

RATE_HZ = 16_000
HISTORY_TOKENS = 1300
SPEECH_S = (2.0, 5.0, 10.0, 30.0)
LEAD_S = 10.0
ROUNDS = 3
CHUNK_SAMPLES = 512
"""The session hands speech on in chunks of 32 ms."""
BEGIN = [105, 2364, 107]
"""``<start_of_turn>user\\n``."""
AROUND_PICTURE = ([108, 255_999], [262_144, 108])
AROUND_SPEECH = ([108, 256_000], [262_272, 108])
CLOSING = [106, 107, 105, 4368, 107]
"""``<end_of_turn>\\n<start_of_turn>model\\n``."""

METHOD = """\
Random weights at the true dimensions of Gemma 3n {size} in bfloat16 on {device} (only the per-layer lookup
table is smaller), a history of {history:,} tokens, one picture at 768 px, and speech, all in one process;
the median of {rounds} runs of each.
*One-shot*: transformers' front ends and `generate`, begun when the speech has ended. *History cached*: the
history is in the KV cache; picture and speech are encoded and prefilled at the end. *Streamed*: both are
encoded and prefilled as they arrive, on a virtual clock on which every step takes as long as it was measured
to take; the picture comes with the first sample of the speech, or, *before*, {lead:g} s ahead of it, as the
camera's view does, which is foreseen while nobody speaks. *Work per second*: computing time for each second
of speech, in the last of these.

![Seconds to the first token over the length of the speech](images/ttft.svg)"""


@dataclass
class Bench:
    """The model and the parts around it."""

    model: Any
    device: str
    step_tokens: int
    wait_for: int

    def __post_init__(self) -> None:
        self.extractor = extractor()
        self.images = image_processor()
        self.embedder = TokenEmbedder(self.model)
        self.decoder = TextDecoder(self.model)
        self.picture = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
        self.history = [2, *text_ids(HISTORY_TOKENS - 1)]

    def timed(self, step: Any) -> tuple[Any, float]:
        """What a step returns, and the seconds that it takes."""
        synchronise(self.device)
        started = time.perf_counter()
        result = step()
        synchronise(self.device)
        return result, time.perf_counter() - started

    def speech(self, seconds: float) -> np.ndarray:
        """Noise."""
        samples = int(seconds * RATE_HZ)
        return (0.1 * np.random.default_rng(1).standard_normal(samples)).astype(np.float32)

    def encode_picture(self) -> torch.Tensor:
        """Encode the picture, cached by nothing."""
        return PictureEncoder(self.model, self.images).encode("p", self.picture, 768)

    # --- the three ways -----------------------------------------------------------------------------------

    @torch.inference_mode()
    def one_shot(self, seconds: float) -> float:
        """transformers: front ends, then ``generate`` for one token."""

        def run() -> None:
            audio = self.extractor(self.speech(seconds), return_tensors="pt")
            rgb = np.ascontiguousarray(self.picture[:, :, ::-1])
            pixels = self.images(images=rgb, return_tensors="pt", input_data_format="channels_last")
            config = self.model.config
            ids = [*self.history, *BEGIN, *AROUND_PICTURE[0], *[config.image_token_id] * 256]
            ids += [*AROUND_PICTURE[1], *AROUND_SPEECH[0], *[config.audio_token_id] * 188]
            ids += [*AROUND_SPEECH[1], *CLOSING]
            tokens = torch.tensor([ids], device=self.device)
            self.model.generate(
                input_ids=tokens,
                attention_mask=torch.ones_like(tokens),
                pixel_values=pixels["pixel_values"].to(self.device, torch.bfloat16),
                input_features=audio["input_features"].to(self.device, torch.bfloat16),
                input_features_mask=audio["input_features_mask"].to(self.device).bool(),
                max_new_tokens=1,
                do_sample=False,
            )

        return self.timed(run)[1]

    def warm(self) -> tuple[KVCache, Any]:
        """A cache that holds the history, and the mark at its end."""
        cache = self.decoder.new_cache()
        self.decoder.prefill(cache, self.embedder.tokens([*self.history, *BEGIN]))
        return cache, cache.mark()

    def history_cached(self, cache: KVCache, mark: Any, seconds: float) -> float:
        """Everything but the history after the end of speech."""
        cache.rollback(mark)

        def run() -> None:
            self.prefill_picture(cache)
            encoder = StreamingAudioEncoder(self.model, self.extractor, step_tokens=1000)
            soft = encoder.finish(self.speech(seconds))
            self.decoder.prefill(cache, self.embedder.tokens(AROUND_SPEECH[0]))
            self.first_token(cache, soft)

        return self.timed(run)[1]

    def streamed(self, cache: KVCache, mark: Any, seconds: float, lead_s: float = 0) -> tuple[float, float]:
        """As it arrives.

        Args:
            cache: Holds the history.
            mark: The history's end.
            seconds: Length of the speech.
            lead_s: How long before the speech the picture comes.

        Returns:
            The time to the first token, and the work that was done for each second of speech.
        """
        cache.rollback(mark)
        encoder = StreamingAudioEncoder(self.model, self.extractor, step_tokens=self.step_tokens)
        speech = self.speech(seconds)

        def begin() -> None:
            self.prefill_picture(cache)
            self.decoder.prefill(cache, self.embedder.tokens(AROUND_SPEECH[0]))

        held: list[torch.Tensor] = []

        def hear(chunk: np.ndarray) -> None:
            held.append(encoder.feed(chunk))
            if sum(soft.shape[0] for soft in held) >= self.wait_for:
                self.decoder.prefill(cache, self.embedder.audio(torch.cat(held)))
                held.clear()

        def finish() -> None:
            held.append(encoder.finish(np.zeros(TAIL_SILENCE_SAMPLES, np.float32)))
            self.first_token(cache, torch.cat(held))

        # The clock starts with the speech; of the work on the picture, what is left then counts.
        busy = clock = max(0.0, self.timed(begin)[1] - lead_s)
        start = 0
        while start < speech.size:
            # Like the engine: take all that has arrived by now, a second at most.
            arrived = min(int(clock * RATE_HZ), start + RATE_HZ, speech.size)
            end = max(arrived, min(start + CHUNK_SAMPLES, speech.size))
            clock = max(clock, end / RATE_HZ)
            taken = self.timed(lambda chunk=speech[start:end]: hear(chunk))[1]
            clock, busy, start = clock + taken, busy + taken, end
        clock += self.timed(finish)[1]
        return clock - seconds, busy / seconds

    def prefill_picture(self, cache: KVCache) -> None:
        """Encode the picture and put it into the cache, wrapper included."""
        soft = self.encode_picture()
        self.decoder.prefill(cache, self.embedder.tokens(AROUND_PICTURE[0]))
        self.decoder.prefill(cache, self.embedder.picture(soft))
        self.decoder.prefill(cache, self.embedder.tokens(AROUND_PICTURE[1]))

    def first_token(self, cache: KVCache, soft: torch.Tensor) -> int:
        """End the speech, close the turn and take the likeliest token."""
        ending = [self.embedder.audio(soft), self.embedder.tokens([*AROUND_SPEECH[1], *CLOSING])]
        embeddings = torch.cat([run.embeddings for run in ending])
        per_layer = torch.cat([run.per_layer for run in ending])
        self.decoder.prefill(cache, Embedded(embeddings, per_layer))
        return int(self.decoder.logits([cache])[0].argmax())


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds to the first token after speech of one length."""

    speech_s: float
    one_shot: float
    history_cached: float
    streamed: float
    streamed_picture_before: float
    work: float
    """Of the last, seconds of work for each second of speech."""


def measure(bench: Bench, lengths: Sequence[float]) -> list[Row]:
    """All ways, length by length."""
    cache, mark = bench.warm()
    bench.streamed(cache, mark, 1.0)  # the first run of anything is slower
    bench.one_shot(1.0)
    rows = []
    for seconds in lengths:
        before, with_it = [], []
        for _ in range(ROUNDS):
            before.append(bench.streamed(cache, mark, seconds, LEAD_S))
            with_it.append(bench.streamed(cache, mark, seconds)[0])
        row = Row(
            seconds,
            median(bench.one_shot(seconds) for _ in range(ROUNDS)),
            median(bench.history_cached(cache, mark, seconds) for _ in range(ROUNDS)),
            median(with_it),
            median(first for first, _ in before),
            median(work for _, work in before),
        )
        print(row, flush=True)
        rows.append(row)
    return rows


def result(rows: Sequence[Row], size: str, device: str) -> Result:
    """What goes onto the page."""
    at = {row.speech_s: row for row in rows}
    findings = []
    if 5.0 in at:
        five = at[5.0]
        before, with_speech = five.one_shot / five.streamed_picture_before, five.one_shot / five.streamed
        findings.append(
            f"After 5 s of speech the first token comes {before:.0f} times as soon as in one shot (aimed at: "
            f"30, {'reached' if before >= 30 else 'missed'}), and {with_speech:.0f} times where the picture "
            "comes with the first sample, as far as that has been worked off when the speech ends."
        )
    if 2.0 in at and 30.0 in at:
        ratio = at[30.0].streamed_picture_before / at[2.0].streamed_picture_before
        findings.append(
            f"After 30 s of speech it takes {ratio:.2f} times as long as after 2 s (aimed at: at most 1.1, "
            f"{'reached' if ratio <= 1.1 else 'missed'})."
        )
    work = max(row.work for row in rows)
    findings.append(
        f"Speech costs at most {work:.2f} s of work a second: {'in' if work <= 1 else 'not in'} real time."
    )
    columns = (
        "speech",
        "one-shot",
        "history cached",
        "streamed",
        "streamed, picture before",
        "work per second",
    )
    cells = [
        [f"{row.speech_s:g} s"]
        + [f"{value:.2f}" for value in list(asdict(row).values())[1:-1]]
        + [f"{row.work:.2f}"]
        for row in rows
    ]
    draw_lines(
        ROOT / "docs" / "images" / "ttft.svg",
        f"Seconds from the end of speech to the first token, Gemma 3n {size.upper()} on {device}",
        "seconds of speech",
        [row.speech_s for row in rows],
        {
            "one-shot": [row.one_shot for row in rows],
            "history cached": [row.history_cached for row in rows],
            "streamed, picture at onset": [row.streamed for row in rows],
            "streamed, picture before": [row.streamed_picture_before for row in rows],
        },
    )
    return Result(
        part="ttft",
        heading="Gemma 3n: time to the first token",
        method=METHOD.format(
            size=size.upper(), device=device, history=HISTORY_TOKENS, lead=LEAD_S, rounds=ROUNDS
        ),
        tables=[Table("Seconds from the end of speech to the first token", columns, cells)],
        findings=findings,
        data={"machine": machine(device), "rows": [asdict(row) for row in rows]},
    )


def run(size: str = "e2b", device: str | None = None, lengths: Sequence[float] = SPEECH_S) -> Result:
    """Measure on this machine's GPU, else on its CPU."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    steps = (CPU_STEP_TOKENS, CPU_WAIT_FOR) if device == "cpu" else (1, GPU_WAIT_FOR)
    bench = Bench(build(size, device), device, *steps)
    return result(measure(bench, lengths), size, device)


def main() -> None:
    """Measure and print; the page is written by bench/run.py."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="e2b")
    parser.add_argument("--device", default=None, help="cuda or cpu")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if unset")
    parser.add_argument("--speech", type=float, nargs="+", default=list(SPEECH_S), help="seconds")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    measured = run(arguments.size, arguments.device, arguments.speech)
    show(measured, Console())
    save(arguments.json, measured.data)


if __name__ == "__main__":
    main()
