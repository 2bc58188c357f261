"""An answer tells of its stages: the nodes of the graph, the model, the tools and the voice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest
from agent_driver import Driver, collect

from hearsight.agent.models.script import Script, Step
from hearsight.streams.observing import Observer, Observers, Scope, Stage, within

WEATHER = Step(call="weather", arguments={"city": "Oslo"})


class Stages(Observer):
    """All stages, and at which depth of others each of them began in its own task."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[Stage] = []

    def begin(self, stage: Stage) -> None:
        self.began.append(stage.name)

    def end(self, stage: Stage) -> None:
        self.ended.append(stage)

    def of(self, name: str) -> list[Stage]:
        return [stage for stage in self.ended if stage.name == name]


@pytest.fixture
def stages() -> Stages:
    return Stages()


@pytest.fixture
async def drive(stages: Stages) -> AsyncIterator[object]:
    drivers: list[Driver] = []
    observers = Observers()
    observers.add(stages)
    scope = Scope("test", observers)

    async def run(*steps: Step, script: Script | None = None, hear: int = 0, **request: object) -> Driver:
        driver = Driver(steps, script=script)
        drivers.append(driver)
        if hear:
            driver.session.hear("item_1", np.zeros(hear, np.int16))
            driver.commit("item_1")
        else:
            driver.user("How is the weather?")
        asked = driver.request(**request)
        with within(scope.of_response(asked.response_id)):
            await collect(driver.session.respond(asked))
        return driver

    yield run
    for driver in drivers:
        await driver.aclose()


async def test_the_nodes_are_stages_in_the_order_in_which_they_run(drive, stages):
    await drive(Step(say="It is fine."))
    assert [name for name in stages.began if name in ("perceive", "think", "act", "speak")] == [
        "perceive",
        "think",
        "speak",
    ]
    assert all(stage.outcome == "ok" for stage in stages.ended)
    assert sorted(stage.name for stage in stages.ended) == sorted(stages.began), "each ends, once"


async def test_a_call_goes_through_act_and_names_its_tool(drive, stages):
    await drive(WEATHER, Step(say="It rains."))
    nodes = [name for name in stages.began if name in ("perceive", "think", "act", "speak")]
    assert nodes == ["perceive", "think", "act", "think", "speak"]
    [call] = stages.of("tool")
    assert call.facts == {"tool": "weather"} and call.outcome == "ok"
    assert call.scope is not None and call.scope.response_id == "resp_1", "it runs in a task of the session"
    assert [stage.name for stage in stages.ended].count("generate") == 2


@pytest.mark.parametrize("tool", ["broken"])
async def test_a_tool_that_fails_is_a_stage_that_failed(drive, stages, tool):
    await drive(Step(call=tool), Step(say="It is out of order."))
    [call] = stages.of("tool")
    assert call.outcome == "failed"
    assert all(stage.outcome == "ok" for stage in stages.of("act")), "the answer goes on"


async def test_the_first_token_ends_before_the_text_does(drive, stages):
    await drive(Step(say="It is fine, and it stays so."))
    names = [stage.name for stage in stages.ended]
    assert names.index("first_token") < names.index("generate")
    [written] = stages.of("generate")
    assert written.facts["output_tokens"] > 1
    assert written.facts.keys() == {"prompt_tokens", "cached_tokens", "output_tokens"}


async def test_each_clause_of_the_voice_is_a_stage_and_says_which_was_the_first(drive, stages):
    await drive(Step(say="It is fine today in the north. It will rain tomorrow in the south."))
    clauses = stages.of("voice")
    assert len(clauses) >= 2
    assert [clause.facts["first"] for clause in clauses] == [True] + [False] * (len(clauses) - 1)
    assert all(clause.facts["audio_s"] > 0 for clause in clauses)


async def test_a_written_answer_needs_no_voice(drive, stages):
    await drive(Step(say="It is fine."), modality="text")
    assert not stages.of("voice")


async def test_what_was_said_is_written_down_in_a_stage(drive, stages):
    script = Script(steps=(Step(say="Fine."),), transcripts=("How is the weather?",))
    await drive(script=script, hear=16_000)
    [heard] = stages.of("speech_to_text")
    assert heard.outcome == "ok" and heard.facts == {"speech_s": 1.0}


async def test_a_model_that_fails_fails_its_stages_from_the_inside_out(drive, stages):
    await drive(Step(error="The model failed."))
    failed = [stage.name for stage in stages.ended if stage.outcome == "failed"]
    assert failed == ["first_token", "generate", "think"]


async def test_no_stage_holds_what_was_said(drive, stages):
    script = Script(
        steps=(
            WEATHER,
            Step(say="It rains cats."),
        ),
        transcripts=("How is the weather in Oslo?",),
    )
    await drive(script=script, hear=16_000)
    facts = repr([stage.facts for stage in stages.ended])
    for word in ("Oslo", "cats", "How is"):
        assert word not in facts


async def test_an_answer_that_nobody_watches_is_the_same(drive):
    driver = Driver([Step(say="It is fine.")])
    driver.user("How is the weather?")
    assert await driver.respond()
    await driver.aclose()
