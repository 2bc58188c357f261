"""Do remarks, noises and the service's own echo leave an answer alone, and do words stop it?

Each scene is played several times against the whole service, in real time, over a real socket.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import service_process
import soxr
from child import Child
from report import Result, Table, percentile, save, show
from rich.console import Console
from rich.progress import track
from room import Room, Said, Seen
from voices import read_by_hibari, read_by_pico

from hearsight.addresses import REALTIME_PATH
from hearsight.agent.voice.hibari import HibariVoice
from hearsight.streams.events import INPUT_RATE_HZ, OUTPUT_RATE_HZ, Samples

QUESTION = "Tell me a long story about a lighthouse keeper and his cat."
HEARD_S = 1.5
"""Of the answer, before anything happens."""
RUNS = 20
REMARKS = ("Yeah.", "Okay.", "I see.", "Right.", "Uh-huh.")
SHORT = ("Stop.", "Wait.", "Hold on.", "No, no.", "Excuse me.")
BEFORE, AFTER = "What is twelve", "times fifteen?"
LONG = "Stop, please. What time is it now?"


@dataclass(frozen=True, slots=True)
class Scene:
    """What happens, and what should come of it."""

    name: str
    expected: str
    said: Callable[[int], Sequence[Said]]
    """By the number of the run."""
    good: Callable[[Seen], bool]
    question: str | None = QUESTION
    echo: float = 0.0
    lasts_s: float = 2.5


def cough(run: int) -> Samples:
    """A burst of noise that swells at once and dies away in a quarter of a second."""
    rng = np.random.default_rng(run)
    times = np.arange(round(0.3 * OUTPUT_RATE_HZ)) / OUTPUT_RATE_HZ
    burst = rng.standard_normal(times.size) * np.exp(-times / 0.07) * np.minimum(1, times / 0.01)
    return np.rint(burst * 6_000).astype(np.int16)


def undisturbed(seen: Seen) -> bool:
    """Nothing was stopped, and nobody was told that the user speaks."""
    return not seen.interrupted and seen.speech_started == 0


def scenes(spoken: dict[str, Samples]) -> list[Scene]:
    """All scenes.

    Args:
        spoken: Texts, read out at 24 kHz.
    """

    def one(*texts: str) -> Callable[[int], Sequence[Said]]:
        return lambda run: [Said(HEARD_S, spoken[texts[run % len(texts)]])]

    def asks_the_time(seen: Seen) -> bool:
        return seen.interrupted and "get_time" in seen.calls

    halves = [Said(0.6, spoken[BEFORE])]
    halves.append(Said(halves[0].ends_s + 0.6, spoken[AFTER]))
    silent: Callable[[int], Sequence[Said]] = lambda run: [Said(5.0, np.zeros(0, np.int16))]  # noqa: E731
    return [
        Scene("a remark", "the answer goes on", one(*REMARKS), undisturbed),
        Scene("a cough", "it goes on", lambda run: [Said(HEARD_S, cough(run))], undisturbed),
        Scene("a short word", "it stops", one(*SHORT), lambda seen: seen.interrupted),
        Scene("an interruption", "it stops; the time is told", one(LONG), asks_the_time, lasts_s=8.0),
        Scene(
            "a remark, and a word within a second",
            "it stops once",
            lambda run: [Said(HEARD_S, spoken["Okay."]), Said(HEARD_S + 0.9, spoken["Stop."])],
            lambda seen: seen.statuses.count("cancelled") == 1,
        ),
        *(
            Scene(f"its own echo at {level} dB", "it goes on", silent, undisturbed, echo=10 ** (level / 20))
            for level in (-10, -20, -30)
        ),
        Scene(
            "an interruption over the echo at -20 dB",
            "it stops; the time is told",
            one(LONG),
            asks_the_time,
            echo=0.1,
            lasts_s=8.0,
        ),
        Scene(
            "a pause of 0.6 s in mid-sentence",
            "one answer, after all of it",
            lambda run: halves,
            lambda seen: "180" in seen.text and min(seen.audio_s, default=0.0) > halves[-1].ends_s,
            question=None,
            lasts_s=10.0,
        ),
    ]


async def read() -> dict[str, Samples]:
    """The texts, in another voice than the service's where there is one."""
    texts = (*REMARKS, *SHORT, LONG)
    recordings = (
        await asyncio.to_thread(read_by_pico, texts)
        if shutil.which("pico2wave")
        else await read_by_hibari(texts)
    )
    spoken = {one.name: soxr.resample(one.samples, INPUT_RATE_HZ, OUTPUT_RATE_HZ) for one in recordings}
    return spoken | await _halves()


async def _halves() -> dict[str, Samples]:
    """A sentence that was spoken in one go, cut between two words: the first half does not sound finished."""
    voice = HibariVoice()
    try:
        whole = await voice.synthesize(f"{BEFORE} {AFTER}", speed=1.0)
    finally:
        await voice.aclose()
    cut = round(whole.words[len(BEFORE.split()) - 1].end_ms * OUTPUT_RATE_HZ / 1000)
    return {BEFORE: whole.samples[:cut], AFTER: whole.samples[cut:]}


async def run(console: Console, *, runs: int = RUNS) -> Result:
    """Play every scene so many times."""
    rows, stops, resumes, data = [], [], [], {}
    played = scenes(await read())
    with Child(service_process.main, {}) as child:
        url = f"ws://127.0.0.1:{child.hear()}{REALTIME_PATH}"
        for scene in played:
            good = 0
            for number in track(range(runs), description=scene.name, console=console):
                said = list(scene.said(number))
                room = Room(url, said, scene.question, scene.echo)
                seen = await room.run(lasts_s=scene.lasts_s)
                good += scene.good(seen)
                if scene.question is not None and said[0].samples.size:
                    if seen.interrupted:
                        stops.append(seen.last_audio_s(said[0].begins_s))
                    elif undisturbed(seen) and scene.name == "a remark":
                        resumes.append(seen.next_audio_s(said[0].ends_s))
            rows.append([scene.name, scene.expected, f"{good} of {runs}"])
            data[scene.name] = good / runs
    return _result(rows, stops, [at for at in resumes if at is not None], data)


def _result(
    rows: list[list[str]], stops: list[float], resumes: list[float], data: dict[str, float]
) -> Result:
    method = """\
Every scene is played in real time against the whole service (`embedded` engine) over a real socket. The
client plays the answer as it comes, silences its speaker when it is told that the user speaks, and its
microphone never closes. The answer is a long story; after 1.5 s of it something is heard in the room. What is
said is read by another synthesiser; the cough is a burst of noise; the echo comes 120 ms late."""
    findings = [
        f"From the first sound of whoever interrupts to the last audio that was sent: {_ms(stops, 50)} "
        f"(median), {_ms(stops, 90)} (90th percentile); aimed at: 200 ms.",
        f"From the end of a remark to the next audio of the answer: {_ms(resumes, 50)} (median), "
        f"{_ms(resumes, 90)} (90th percentile). It is held until the remark has been written down.",
    ]
    table = Table("Scenes", ("in the room", "expected", "as expected"), rows)
    figures = {"as_expected": data, "stops_s": stops, "resumes_s": resumes}
    return Result("scenes", "Interruptions", method, [table], findings, figures)


def _ms(values: list[float], percent: float) -> str:
    return f"{1000 * percentile(values, percent):.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="Of each scene.")
    parser.add_argument("--dry", action="store_true", help="Do not write docs/benchmarks.md.")
    arguments = parser.parse_args()
    console = Console()
    result = asyncio.run(run(console, runs=arguments.runs))
    show(result, console)
    if not arguments.dry:
        save(result)


if __name__ == "__main__":
    main()
