"""Time from the end of speech to the first token: the usual way, with a warm history, and Hearsight's.

    python bench/ttft.py --size e2b --json ttft.json

A history of 1,300 tokens, one picture at 768 px, and speech of several lengths, in one process:

- **one-shot**: transformers' front ends and ``generate``, all of it after the speech has ended;
- **history cached**: the history is in the KV cache, picture and speech are encoded and prefilled at the end;
- **streamed**: picture and speech are encoded and prefilled as they arrive.

The streamed run is played against a virtual clock: samples arrive in real time, every step takes as long as
it is measured to take, and what has not been worked off when the speech ends counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
    table,
    text_ids,
)

from hearsight.agent.models.gemma3n.adapter import TAIL_SILENCE_SAMPLES
from hearsight.agent.models.gemma3n.audio_encoder import StreamingAudioEncoder
from hearsight.agent.models.gemma3n.cache import KVCache
from hearsight.agent.models.gemma3n.decoder import TextDecoder
from hearsight.agent.models.gemma3n.embedding import TokenEmbedder
from hearsight.agent.models.gemma3n.pictures import PictureEncoder

RATE_HZ = 16_000
HISTORY_TOKENS = 1300
SPEECH_S = (2.0, 5.0, 10.0, 30.0)
CHUNK_SAMPLES = 512
"""The session hands speech on in chunks of 32 ms."""
BEGIN = [105, 2364, 107]
"""``<start_of_turn>user\\n``."""
AROUND_PICTURE = ([108, 255_999], [262_144, 108])
AROUND_SPEECH = ([108, 256_000], [262_272, 108])
CLOSING = [106, 107, 105, 4368, 107]
"""``<end_of_turn>\\n<start_of_turn>model\\n``."""


@dataclass
class Bench:
    """The model and the parts around it."""

    model: Any
    device: str
    step_tokens: int
    clock: Callable[[], float]

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
        started = self.clock()
        result = step()
        synchronise(self.device)
        return result, self.clock() - started

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
            soft = [encoder.feed(self.speech(seconds)), encoder.flush()]
            self.decoder.prefill(cache, self.embedder.tokens(AROUND_SPEECH[0]))
            self.decoder.prefill(cache, self.embedder.audio(torch.cat(soft)))
            self.first_token(cache)

        return self.timed(run)[1]

    def streamed(self, cache: KVCache, mark: Any, seconds: float) -> tuple[float, float]:
        """As it arrives; returns the time to the first token, and the share of the speech spent working."""
        cache.rollback(mark)
        encoder = StreamingAudioEncoder(self.model, self.extractor, step_tokens=self.step_tokens)
        speech = self.speech(seconds)

        def begin() -> None:
            self.prefill_picture(cache)
            self.decoder.prefill(cache, self.embedder.tokens(AROUND_SPEECH[0]))

        def hear(chunk: np.ndarray) -> None:
            soft = encoder.feed(chunk)
            if soft.shape[0]:
                self.decoder.prefill(cache, self.embedder.audio(soft))

        def finish() -> None:
            soft = [encoder.feed(np.zeros(TAIL_SILENCE_SAMPLES, np.float32)), encoder.flush()]
            self.decoder.prefill(cache, self.embedder.audio(torch.cat(soft)))
            self.first_token(cache)

        # The picture came with the onset of speech; the clock starts there.
        busy = clock = self.timed(begin)[1]
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

    def first_token(self, cache: KVCache) -> int:
        """Close the turn and take the likeliest token."""
        self.decoder.prefill(cache, self.embedder.tokens([*AROUND_SPEECH[1], *CLOSING]))
        return int(self.decoder.logits([cache])[0].argmax())


def cpu_clock() -> float:
    """CPU time by thread: what the wall clock would show were the machine not shared with others."""
    return time.process_time() / torch.get_num_threads()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="e2b")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads; all cores if unset")
    parser.add_argument("--speech", type=float, nargs="+", default=list(SPEECH_S), help="seconds")
    parser.add_argument("--step-tokens", type=int, help="soft tokens to an encoder step")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine shared with others"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    step_tokens = arguments.step_tokens or (4 if arguments.device == "cpu" else 1)
    clock = time.perf_counter if arguments.clock == "wall" else cpu_clock
    bench = Bench(build(arguments.size, arguments.device), arguments.device, step_tokens, clock)
    cache, mark = bench.warm()
    bench.streamed(cache, mark, 1.0)  # the first run of anything is slower
    results = []
    for seconds in arguments.speech:
        streamed, busy = bench.streamed(cache, mark, seconds)
        cached = bench.history_cached(cache, mark, seconds)
        one_shot = bench.one_shot(seconds)
        results.append(
            {"speech_s": seconds, "one_shot_s": one_shot, "history_cached_s": cached, "streamed_s": streamed}
        )
        results[-1]["busy_share"] = busy
        print(results[-1], flush=True)
    rows = [
        [
            f"{row['speech_s']:g} s",
            f"{row['one_shot_s']:.2f}",
            f"{row['history_cached_s']:.2f}",
            f"{row['streamed_s']:.2f}",
            f"{row['one_shot_s'] / row['streamed_s']:.1f}x",
            f"{row['history_cached_s'] / row['streamed_s']:.1f}x",
            f"{row['busy_share']:.0%}",
        ]
        for row in results
    ]
    header = [
        "speech",
        "one-shot",
        "history cached",
        "streamed",
        "vs one-shot",
        "vs cached",
        "busy while speaking",
    ]
    print(table(header, rows))
    save(
        arguments.json,
        {
            "size": arguments.size,
            "clock": arguments.clock,
            "machine": machine(arguments.device),
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
