"""What the measurement of end-of-turn detection puts onto the page: a chart, tables and findings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hesitations import PAUSES_S
from plot import draw_curves
from report import ROOT, Result, Table
from turn_ends import Rule, Score, best, delay_at, frontier

HUMAN, REQUESTS = "human recordings", "spoken requests"
DEFAULT = "default"
SHOWN_MS = (200, 300, 500, 800, 1000, 1200, 1500)
RATES = (0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0)
"""Cut-in rates for which the best rules are shown."""
PATIENCE = 1.1
"""How much longer a better rule may wait, as a factor."""
CHART = ROOT / "docs" / "images" / "endpointing.svg"
METHOD = """\
Turns with one hesitation in mid-sentence, and the same turns without, played on a virtual clock through the
service's own front end (Silero), session and end-of-turn model. A turn is *cut in on* if it is declared over
before its last word. *Delay*: from the last frame in which Silero hears speech to the declared end, of the
turns that were not cut in on. Under the service's rule it is mostly one of two values, so the mean says more
than the median. *Silence*: silence alone, the protocol's `server_vad`. *Service*: the end-of-turn model is
asked after {asked_ms} ms of silence; from a probability of the threshold on, the short silence is enough,
else it takes the long one. The settings' defaults and the protocol's other values of `eagerness` stand by
their names; the sweep has {thresholds} thresholds, {shorts} short and {longs} long silences. Silences end
on whole frames of 32 ms.

*Human recordings*: those in tests/data/speech and, where it is installed, in Debian's
`pocketsphinx-testdata`, read with hardly a pause that Silero notices. Each is paused for {pauses} s
at up to six places between two words, {human} turns; the voice did not mean to pause there, and some of the
pieces end where their sentence goes on. *Spoken requests*: some of the development set in {voices},
{requests} turns; hibari is cut between two words, the others speak two halves, the first with a comma at
its end. Nobody says "um" or draws a word out, which would tell that more is to come, and every turn has a
hesitation, which people's have not: the rates compare rules, they foretell nothing.

![Cut-in rate over the mean delay](images/endpointing.svg)"""


@dataclass(frozen=True, slots=True)
class Measured:
    """Every rule on every set of takes."""

    scores: Mapping[str, Mapping[Rule, Score]]
    """By set, voices apart and together."""
    named: Mapping[str, Rule]
    """The service's rule by its default and by eagerness."""

    def silences(self, name: str) -> list[Score]:
        """Silence alone."""
        return [one for rule, one in self.scores[name].items() if rule.threshold is None]

    def services(self, name: str) -> list[Score]:
        """The service's rule, swept."""
        return [one for rule, one in self.scores[name].items() if rule.threshold is not None]

    def of(self, name: str, rule: str) -> Score:
        """One of the service's named rules."""
        return self.scores[name][self.named[rule]]

    def telling(self, name: str) -> list[Score]:
        """Silence alone, the named rules, and of the swept those that none beats."""
        named = [self.of(name, rule) for rule in self.named]
        swept = [one for one in frontier(self.services(name)) if one not in named]
        return [*self.silences(name), *named, *swept]

    def saved_ms(self, name: str, rule: str) -> float | None:
        """How much sooner than silence alone of the same cut-in rate; None if no silence has that rate."""
        one = self.of(name, rule)
        waited_ms = delay_at(self.silences(name), one.cut_in_rate)
        return None if waited_ms is None else waited_ms - one.mean_ms


def as_result(measured: Measured, sizes: Mapping[str, int], asked_ms: int) -> Result:
    """Put the figures together.

    Args:
        measured: All scores.
        sizes: Turns with a hesitation by set, the human recordings and each voice.
        asked_ms: Silence after which the end-of-turn model is asked.
    """
    voices = [name for name in sizes if name != HUMAN]
    swept = [one.rule for one in measured.services(HUMAN) if one.rule not in measured.named.values()]
    method = METHOD.format(
        asked_ms=asked_ms,
        pauses=", ".join(f"{pause_s:g}" for pause_s in PAUSES_S if pause_s),
        voices=" and ".join(filter(None, [", ".join(voices[:-1]), voices[-1]])),
        thresholds=len({rule.threshold for rule in swept}),
        shorts=len({rule.short_ms for rule in swept}),
        longs=len({rule.long_ms for rule in swept}),
        human=sizes[HUMAN],
        requests=sum(sizes[voice] for voice in voices),
    )
    tables = [
        *(_rules_table(measured, name) for name in (HUMAN, REQUESTS)),
        _gain_table(measured, [HUMAN, *voices]),
        *(_best_table(measured, name) for name in (HUMAN, REQUESTS)),
    ]
    data = {name: [_raw(one) for one in measured.telling(name)] for name in measured.scores}
    return Result("endpointing", "End of turn", method, tables, findings(measured, voices), data)


def draw(measured: Measured, path: Path) -> None:
    """Draw the chart: the frontiers, and the rules that have a name."""
    curves, marks = {}, {}
    for name in (HUMAN, REQUESTS):
        for way, scores in (("silence", measured.silences(name)), ("service", measured.services(name))):
            curves[f"{way}, {name}"] = [_point(one) for one in frontier(scores)]
        marks[f"service, {name}"] = {rule: _point(measured.of(name, rule)) for rule in measured.named}
    draw_curves(path, "Turns cut in on, in %", "mean delay of the others in ms", curves, marks)


def _point(one: Score) -> tuple[float, float]:
    return one.mean_ms, 100 * one.cut_in_rate


def _rules_table(measured: Measured, name: str) -> Table:
    shown = [one for one in measured.silences(name) if one.rule.long_ms in SHOWN_MS]
    rows = [[f"silence, {one.rule}", *_cells(one)] for one in shown]
    for rule in measured.named:
        one = measured.of(name, rule)
        rows.append([f"service, {rule}: {one.rule}", *_cells(one)])
    pauses = [f"{pause_s:g} s" if pause_s else "without hesitation" for pause_s in PAUSES_S]
    columns = ("rule", "cut in on", *pauses, "delay, mean", "median / p90")
    return Table(f"{name.capitalize()}: turns cut in on, by the length of their hesitation", columns, rows)


def _cells(one: Score) -> list[str]:
    by_pause = [f"{100 * one.cut_ins.get(pause_s, float('nan')):.0f}%" for pause_s in PAUSES_S]
    return [f"{100 * one.cut_in_rate:.0f}%", *by_pause, *_delays(one)]


def _delays(one: Score) -> list[str]:
    return [f"{one.mean_ms:.0f} ms", f"{one.median_ms:.0f} / {one.p90_ms:.0f} ms"]


def _gain_table(measured: Measured, names: Sequence[str]) -> Table:
    rows = []
    for name in names:
        cells = []
        for rule in measured.named:
            one, saved = measured.of(name, rule), measured.saved_ms(name, rule)
            gain = "–" if saved is None else f"{saved:+.0f} ms"
            cells.append(f"{100 * one.cut_in_rate:.0f}%, {one.mean_ms:.0f} ms: {gain}")
        rows.append([name, *cells])
    return Table(
        "Cut-in rate and mean delay; how much sooner (+) than silence alone with the same cut-in rate",
        ("speech", *measured.named),
        rows,
    )


def _best_table(measured: Measured, name: str) -> Table:
    rows = []
    for rate in RATES:
        silent = best(measured.silences(name), rate)
        serving = best(measured.services(name), rate)
        rows.append(
            [
                f"{100 * rate:.0f}%",
                *([f"{silent.rule}", f"{silent.mean_ms:.0f} ms"] if silent else ["–", "–"]),
                *([f"{serving.rule}", *_delays(serving)] if serving else ["–", "–", "–"]),
            ]
        )
    columns = (
        "cut in on at most",
        "silence",
        "delay",
        "best rule of the sweep",
        "delay, mean",
        "median / p90",
    )
    return Table(f"{name.capitalize()}: the quickest rule for a cut-in rate", columns, rows)


def findings(measured: Measured, voices: Sequence[str]) -> list[str]:
    """What the tables say, one sentence each."""
    found = []
    for name in (HUMAN, REQUESTS):
        one, saved_ms = measured.of(name, DEFAULT), measured.saved_ms(name, DEFAULT)
        found.append(
            f"{name.capitalize()}: the defaults cut in on {100 * one.cut_in_rate:.0f}% and wait "
            f"{one.mean_ms:.0f} ms on average, {_compared(saved_ms)} than silence alone with the same rate."
        )
        found.append(f"{name.capitalize()}: {_reach(measured, name)}")
    by_voice = [f"{voice} {_compared(measured.saved_ms(voice, DEFAULT))}" for voice in voices]
    found.append(f"Voice by voice, likewise: {', '.join(by_voice)}.")
    found.append(_transfer(measured))
    return found


def _compared(saved_ms: float | None) -> str:
    if saved_ms is None:
        return "not to be compared (–)"
    return f"{abs(saved_ms):.0f} ms {'sooner' if saved_ms > 0 else 'later'}"


def _reach(measured: Measured, name: str) -> str:
    """Down to which cut-in rate the best rule is quicker than silence alone."""
    helped = []
    for rate in RATES:
        silent, serving = best(measured.silences(name), rate), best(measured.services(name), rate)
        if silent and serving and serving.mean_ms < silent.mean_ms:
            helped.append((rate, silent.mean_ms - serving.mean_ms))
    if not helped:
        return "no rule of the sweep is quicker than silence alone."
    rate, sooner_ms = helped[-1]
    gains = [sooner_ms for _, sooner_ms in helped]
    says = (
        f"the best rules of the sweep are {min(gains):.0f} to {max(gains):.0f} ms quicker than silence alone "
        f"down to a cut-in rate of {100 * rate:.0f}%"
    )
    return f"{says}; where fewer are allowed, they are not." if rate > RATES[-1] else f"{says}."


def _transfer(measured: Measured) -> str:
    """What a better rule for one set is worth on the other, for the best on its own set flatters itself."""
    now, there = measured.of(REQUESTS, DEFAULT), measured.of(HUMAN, DEFAULT)
    patient = [one for one in measured.services(REQUESTS) if one.mean_ms <= now.mean_ms * PATIENCE]
    chosen = min(patient, key=lambda one: (one.cut_in_rate, one.mean_ms))
    on_human = measured.scores[HUMAN][chosen.rule]
    return (
        f"Of the rules that wait at most {100 * PATIENCE - 100:.0f}% longer than the defaults, {chosen.rule} "
        f"cuts in on the fewest requests: {_figures(chosen)} (defaults: {_figures(now)}); on the human "
        f"recordings, which had no say, {_figures(on_human)} (defaults: {_figures(there)})."
    )


def _figures(one: Score) -> str:
    return f"{100 * one.cut_in_rate:.0f}% after {one.mean_ms:.0f} ms"


def _raw(one: Score) -> dict[str, Any]:
    return {
        "rule": [one.rule.short_ms, one.rule.long_ms, one.rule.threshold],
        "cut_ins": {f"{pause_s:g}": share for pause_s, share in one.cut_ins.items()},
        "cut_in_rate": one.cut_in_rate,
        # JSON has no NaN.
        "delay_ms": [
            value if math.isfinite(value) else None for value in (one.mean_ms, one.median_ms, one.p90_ms)
        ],
    }
