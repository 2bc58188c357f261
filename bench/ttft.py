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

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median

import torch
from gemma3n_random import build, machine, parser, save
from plot import draw_lines
from report import ROOT, Result, Table, show
from rich.console import Console
from three_ways import HISTORY_TOKENS, ThreeWays

from hearsight.agent.models.gemma3n.engine import CPU_WAIT_FOR, GPU_WAIT_FOR
from hearsight.agent.models.gemma3n.loading import CPU_STEP_TOKENS

SPEECH_S = (2.0, 5.0, 10.0, 30.0)
LEAD_S = 10.0
ROUNDS = 3
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


def measure(bench: ThreeWays, lengths: Sequence[float]) -> list[Row]:
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
    bench = ThreeWays(build(size, device), device, *steps)
    return result(measure(bench, lengths), size, device)


def main() -> None:
    """Measure and print; the page is written by bench/run.py."""
    options = parser(__doc__)
    options.add_argument("--speech", type=float, nargs="+", default=list(SPEECH_S), help="seconds")
    arguments = options.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    measured = run(arguments.size, arguments.device, arguments.speech)
    show(measured, Console())
    save(arguments.json, measured.data)


if __name__ == "__main__":
    main()
