"""How many live sessions one process holds.

Each session sends 16 kHz audio in real time, about half of it speech, and one 640 × 480 JPEG a second. The
server runs in one process and all clients in another, on the same machine, over real sockets.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import dataclass
from itertools import cycle

import microphones
import numpy as np
import quiet_server
from child import Child
from machine import OtherLoad, raised_priority
from microphones import ClientFigures, Programme, make_programme
from quiet_server import ServerFigures
from report import Result, Table, percentile, save, show
from rich.console import Console
from voices import read_by_hibari, short_human_recordings, silence

from hearsight.addresses import REALTIME_PATH
from hearsight.config.settings import load_settings
from hearsight.models_command import open_store
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.events import INPUT_RATE_HZ, Samples

TARGET_SESSIONS = 40
LEVELS = (10, 20, 40, 60, 80, 100, 120, 160)
CHUNK_MS = 20
WARM_UP_S = 4.0
MEASURE_S = 20.0
MAX_LAG_S = 0.1
MAX_LOOP_SHARE = 0.9

SENTENCES = (
    "Could you tell me what is written on this letter?",
    "I was thinking about going to the lake, if the weather stays like this.",
    "Thanks.",
    "Remind me again how long the potatoes have to cook, and what comes after that.",
)
"""Synthetic speech between the human recordings."""


@dataclass(frozen=True, slots=True)
class Level:
    """What was measured with one number of sessions."""

    sessions: int
    server: ServerFigures
    clients: ClientFigures
    other_cores: float

    @property
    def cpu_ms_per_session(self) -> float:
        """CPU time of the server process per session and second."""
        return 1000 * self.server.cpu_s / self.server.elapsed_s / self.sessions

    @property
    def loop_share(self) -> float:
        """Share of one core that the event loop's thread used."""
        return self.server.loop_cpu_s / self.server.elapsed_s

    @property
    def real_time(self) -> bool:
        """Whether everything was heard in time and nothing was lost."""
        return (
            percentile(self.server.lags_s, 99) < MAX_LAG_S
            and percentile(self.clients.delays_s, 99) < MAX_LAG_S
            and self.loop_share < MAX_LOOP_SHARE
            and not self.clients.errors
        )


def programme_audio() -> Samples:
    """Half a minute of speech with pauses."""
    spoken = asyncio.run(read_by_hibari(SENTENCES))
    human = [recording for recording in short_human_recordings()]
    pauses = cycle((1.6, 2.4, 1.9))
    pieces = [silence(1.0)]
    for recording in [*human[:3], *spoken[:2], *human[3:], *spoken[2:]]:
        pieces += [recording.samples, silence(next(pauses))]
    return np.concatenate(pieces)


def measure(programme: Programme, sessions: int, seconds: float) -> Level:
    """Run a server and its clients."""
    with Child(quiet_server.main) as server:
        url = f"ws://127.0.0.1:{server.hear()}{REALTIME_PATH}"
        with Child(microphones.main, url, sessions, programme) as clients:
            clients.hear()
            time.sleep(WARM_UP_S)
            _take(server, clients)
            others = OtherLoad()
            time.sleep(seconds)
            of_server, of_clients = _take(server, clients)
            other_cores = others.cores(of_server.cpu_s + of_clients.cpu_s)
    return Level(sessions, of_server, of_clients, other_cores)


def _take(server: Child, clients: Child) -> tuple[ServerFigures, ClientFigures]:
    for child in (server, clients):
        child.say("take")
    return server.hear(), clients.hear()


def run(console: Console, *, levels: tuple[int, ...] = LEVELS, seconds: float = MEASURE_S) -> Result:
    """Raise the number of sessions until one process no longer keeps up."""
    vad = SileroModel(open_store(load_settings().settings).file("silero-vad"))
    programme = make_programme(programme_audio(), INPUT_RATE_HZ, CHUNK_MS, vad)
    measured = []
    for sessions in levels:
        with console.status(f"{sessions} sessions …"):
            level = measure(programme, sessions, seconds)
        measured.append(level)
        console.print("  ".join(_row(level)))
        if not level.real_time and sessions > TARGET_SESSIONS:
            break
    return _result(measured, programme)


def _row(level: Level) -> list[str]:
    lags, delays = level.server.lags_s, level.clients.delays_s
    errors = sum(level.clients.errors.values())
    return [
        str(level.sessions),
        f"{level.cpu_ms_per_session:.1f} ms",
        f"{100 * level.loop_share:.0f} %",
        f"{1000 * percentile(lags, 50):.1f} / {1000 * percentile(lags, 99):.0f} ms",
        f"{1000 * percentile(delays, 50):.0f} / {1000 * percentile(delays, 99):.0f} ms",
        f"{1000 * percentile(level.server.end_of_turn_s, 50):.0f} ms",
        str(errors),
        f"{level.other_cores:.1f}",
        "yes" if level.real_time else "no",
    ]


COLUMNS = (
    "sessions",
    "server CPU per session and second",
    "event loop's share of a core",
    "event loop late, p50 / p99",
    "speech_started late, p50 / p99",
    "end-of-turn answer, p50",
    "drops and errors",
    "cores used by other programs",
    "real time",
)


def _result(measured: list[Level], programme: Programme) -> Result:
    table = Table("One process", COLUMNS, [_row(level) for level in measured])
    fits = [level.sessions for level in measured if level.real_time]
    largest = max(fits, default=0)
    reached = "reached" if largest >= TARGET_SESSIONS else "missed"
    method = f"""\
Each session sends {programme.rate_hz // 1000} kHz audio in real time in chunks of {programme.chunk_ms}
ms (human and synthetic speech with pauses, {programme.length_ms / 1000:.0f} s that repeat, half of it
speech) and one 640 × 480 JPEG a second, over the OpenAI Realtime protocol and a real socket. One
process serves: real server, codec, session, voice activity (Silero), end-of-turn model (Smart Turn)
and camera, with an agent that stays silent. All clients are another process on the same cores. *Late*
is what comes on top of the audio itself: from sending the chunk that decides on an onset to the
arrival of `speech_started`. *Real time* means that the 99th percentiles of both stay below
{1000 * MAX_LAG_S:.0f} ms, the event loop's thread below {100 * MAX_LOOP_SHARE:.0f} % of a core, and
nothing is dropped."""
    finding = (
        f"One process holds {largest} live sessions in real time (aimed at: {TARGET_SESSIONS}, {reached})."
    )
    return Result(
        part="sessions",
        heading="Live sessions in one process",
        method=method,
        tables=[table],
        findings=[finding, *filter(None, [raised_priority()])],
        data={"levels": [_data(level) for level in measured], "largest": largest},
    )


def _data(level: Level) -> dict[str, object]:
    return {
        "sessions": level.sessions,
        "cpu_ms_per_session_s": level.cpu_ms_per_session,
        "loop_share": level.loop_share,
        "client_cpu_share": level.clients.cpu_s / level.server.elapsed_s,
        "lag_ms": [1000 * percentile(level.server.lags_s, p) for p in (50, 90, 99, 100)],
        "onset_delay_ms": [1000 * percentile(level.clients.delays_s, p) for p in (50, 90, 99, 100)],
        "onsets": len(level.clients.delays_s),
        "end_of_turn_ms": [1000 * percentile(level.server.end_of_turn_s, p) for p in (50, 90, 99)],
        "end_of_turn_calls": len(level.server.end_of_turn_s),
        "client_late_ms": [1000 * percentile(level.clients.late_s, p) for p in (50, 99)],
        "errors": dict(level.clients.errors),
        "chunks": level.clients.sent_chunks,
        "pictures": level.clients.sent_pictures,
        "other_cores": level.other_cores,
        "real_time": level.real_time,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, nargs="*", default=list(LEVELS))
    parser.add_argument("--seconds", type=float, default=MEASURE_S)
    parser.add_argument("--dry", action="store_true", help="Do not write docs/benchmarks.md.")
    arguments = parser.parse_args()
    console = Console()
    result = run(console, levels=tuple(arguments.sessions), seconds=arguments.seconds)
    show(result, console)
    if not arguments.dry:
        save(result)


if __name__ == "__main__":
    main()
