"""How often the end of a turn is declared too soon, against how long it is waited for.

Silence alone, and the service's rule: the end-of-turn model is asked early in a silence, and its answer
chooses between a short and a long one. Both are played through the service's own session, see ``turn_ends``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from pathlib import Path
from typing import get_args

from endpointing_page import CHART, DEFAULT, HUMAN, REQUESTS, Measured, as_result, draw
from hesitations import PAUSES_S, human_phrases, pause, request_phrases
from report import Result, save, show
from rich.console import Console
from turn_ends import Hearing, Rule, Score, score, silence

from hearsight.config.settings import Settings, load_settings
from hearsight.models_command import open_store
from hearsight.options import runtime_options
from hearsight.streams.audio.end_of_turn import EndOfTurnModel
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.openai_realtime.session import open_session, to_config, update_session
from hearsight.streams.openai_realtime.session_models import SemanticVad

SILENCES_MS = (200, 250, 300, 350, 400, 500, 600, 700, 800, 900, 1000, 1200, 1500)
THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
SHORT_MS = (160, 200, 300, 400, 500)
LONG_MS = (600, 800, 1000, 1200, 1500, 2000)


def named_rules(settings: Settings) -> dict[str, Rule]:
    """The settings' rule, and what the protocol makes of it for each eagerness."""
    defaults = runtime_options(settings).config
    session = open_session("hearsight", defaults)
    rules = {}
    for eagerness in get_args(SemanticVad.model_fields["eagerness"].annotation):
        asked = {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}}}
        detection = to_config(update_session(session, asked), defaults).turn_detection
        assert detection is not None
        rules[eagerness] = Rule(
            detection.short_silence_ms, detection.long_silence_ms, detection.endpoint_threshold
        )
    rules[DEFAULT] = rules.pop("auto")
    order = (DEFAULT, "high", "medium", "low")
    # What comes to the same as the default goes by that name.
    return {name: rules[name] for name in order if name == DEFAULT or rules[name] != rules[DEFAULT]}


def swept_rules() -> list[Rule]:
    """Silence alone, and all combinations of the service's rule."""
    combined = itertools.product(SHORT_MS, LONG_MS, THRESHOLDS)
    return [*map(silence, SILENCES_MS), *itertools.starmap(Rule, combined)]


async def run(console: Console, *, limit: int = 100, chart: Path | None = CHART) -> Result:
    """Measure every rule on every turn.

    Args:
        console: Where progress is shown.
        limit: Recordings, and requests in each voice.
        chart: Where the chart goes; None: nowhere.
    """
    settings = load_settings().settings
    store, options = open_store(settings), runtime_options(settings)
    with console.status("Preparing the speech …"):
        phrases = {HUMAN: human_phrases(store.path("whisper-tiny.en"), limit)}
        phrases |= await request_phrases(limit)
    vad = SileroModel(store.file("silero-vad"))
    model = EndOfTurnModel(store.file("smart-turn"))
    named = named_rules(settings)
    rules = list(dict.fromkeys([*named.values(), *swept_rules()]))
    heard: dict[str, list[Hearing]] = {}
    for name, spoken in phrases.items():
        with console.status(f"Listening: {name} …"):
            takes = [pause(phrase, pause_s) for phrase in spoken for pause_s in PAUSES_S]
            heard[name] = [Hearing(take, options.config, options.limits, vad, model) for take in takes]
    voices = [name for name in heard if name != HUMAN]
    scores: dict[str, dict[Rule, Score]] = {name: {} for name in (HUMAN, REQUESTS, *voices)}
    with console.status("Judging …") as status:
        for number, rule in enumerate(rules, start=1):
            status.update(f"Judging by rule {number} of {len(rules)} …")
            judged = {name: [(one.take.pause_s, one.end_by(rule)) for one in heard[name]] for name in heard}
            judged[REQUESTS] = [one for voice in voices for one in judged[voice]]
            for name, ended in judged.items():
                scores[name][rule] = score(rule, ended)
    sizes = {name: sum(one.take.pause_s > 0 for one in found) for name, found in heard.items()}
    measured = Measured(scores, named)
    if chart is not None:
        draw(measured, chart)
    return as_result(measured, sizes, options.limits.speculate_after_ms)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dry", action="store_true", help="Do not write docs/benchmarks.md.")
    parser.add_argument("--limit", type=int, default=100, help="Recordings, and requests in each voice.")
    arguments = parser.parse_args()
    console = Console()
    result = asyncio.run(run(console, limit=arguments.limit, chart=None if arguments.dry else CHART))
    show(result, console)
    if not arguments.dry:
        save(result)


if __name__ == "__main__":
    main()
