"""What the embedded engine's speech to text gets wrong, and how long it takes."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from normal import normal, word_errors
from report import ROOT, Result, Table, percentile, save, show
from rich.console import Console
from voices import Recording, librivox_recordings, read_in_voices, short_human_recordings

from hearsight.agent.models.embedded.speech_to_text import SpeechToText
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.streams.events import INPUT_RATE_HZ

sys.path.insert(0, str(ROOT / "tests" / "data"))
from spoken_requests import DEV, HELD_OUT, load  # noqa: E402

MODELS = ("tiny.en", "base")


@dataclass(frozen=True, slots=True)
class Heard:
    """A set of recordings as one model heard it."""

    model: str
    name: str
    recordings: int
    words: int
    errors: int
    seconds: list[float]
    """Computing time of each recording."""
    audio_s: float

    @property
    def word_error_rate(self) -> float:
        return self.errors / max(1, self.words)


async def recordings(texts: Sequence[str]) -> dict[str, list[Recording]]:
    """All sets of recordings by name."""
    human = short_human_recordings()
    known = {normal(recording.words) for recording in human}
    human += [one for one in librivox_recordings() if normal(one.words) not in known]
    sets = {"human, cards and read sentences": human}
    for voice, spoken in (await read_in_voices(texts)).items():
        sets[f"requests, {voice}"] = spoken
    return sets


async def hear(model: str, sets: dict[str, list[Recording]], threads: int, console: Console) -> list[Heard]:
    """Write down every recording with one model."""
    store = open_store(load_settings().settings)
    speech = SpeechToText(store.path(f"whisper-{model}"), threads=threads, language="en")
    try:
        await speech.load()
        heard = []
        for name, spoken in sets.items():
            with console.status(f"{model}: {name} …"):
                transcripts = [await speech.transcribe(recording.samples) for recording in spoken]
            counts = [
                word_errors(one.words, said.text) for one, said in zip(spoken, transcripts, strict=True)
            ]
            heard.append(
                Heard(
                    model,
                    name,
                    recordings=len(spoken),
                    words=sum(words for _, words in counts),
                    errors=sum(errors for errors, _ in counts),
                    seconds=[said.compute_s for said in transcripts],
                    audio_s=sum(one.samples.size for one in spoken) / INPUT_RATE_HZ,
                )
            )
        return heard
    finally:
        await speech.aclose()


async def run(console: Console) -> Result:
    """Measure both models on every set."""
    threads = max(1, (load_settings().settings.embedded.threads or os.cpu_count() or 2) // 2)
    texts = [request.text for path in (DEV, HELD_OUT) for request in load(path)]
    with console.status("Reading the requests out …"):
        sets = await recordings(texts)
    store = open_store(load_settings().settings)
    measured = [
        heard
        for model in MODELS
        if (store.path(f"whisper-{model}") / "model.bin").exists()
        for heard in await hear(model, sets, threads, console)
    ]
    return _result(measured, threads)


def _result(measured: list[Heard], threads: int) -> Result:
    columns = ("model and speech", "recordings", "words", "word error rate", "seconds, median / p90")
    rows = [
        [
            f"{heard.model}: {heard.name}",
            str(heard.recordings),
            f"{heard.words:,}",
            f"{100 * heard.word_error_rate:.1f} %",
            f"{percentile(heard.seconds, 50):.2f} / {percentile(heard.seconds, 90):.2f}",
        ]
        for heard in measured
    ]
    method = f"""\
Word error rate and computing time an utterance of the embedded engine's speech to text: Whisper
`tiny.en`, the default, and `base`, where it has been fetched; int8, greedy, on {threads} of the cores.
*Human*: the recordings in tests/data/speech and the read sentences of Debian's
`pocketsphinx-testdata`, where it is installed. *Requests*: the texts of
tests/data/spoken_requests*.jsonl, read out by hibari, the service's own voice; and, where they are
installed, by flite's `slt`, another speaker, and by espeak-ng, whose formant synthesis is hard on any
recogniser. Case, punctuation, contractions and the spelling of numbers do not count."""
    return Result(
        part="speech",
        heading="Speech to text",
        method=method,
        tables=[Table("Word error rate and time", columns, rows)],
        data={"sets": [_data(heard) for heard in measured]},
    )


def _data(heard: Heard) -> dict[str, Any]:
    return {
        "model": heard.model,
        "set": heard.name,
        "recordings": heard.recordings,
        "audio_s": heard.audio_s,
        "words": heard.words,
        "errors": heard.errors,
        "seconds": [percentile(heard.seconds, p) for p in (50, 90, 100)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="Do not write docs/benchmarks.md.")
    arguments = parser.parse_args()
    console = Console()
    result = asyncio.run(run(console))
    show(result, console)
    if not arguments.dry:
        save(result)


if __name__ == "__main__":
    main()
