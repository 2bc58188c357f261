"""Random conversations with everything but a model, on a made-up clock: the runtime, the session, the real
graph, router and tools, a scripted engine and voice.

The session alone is held to its promises in tests/streams/session/test_invariants.py, event by event; here
it is the whole, whose parts act when they please. `FUZZ_EXAMPLES` says how many conversations.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any, cast

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from hearsight.agent.agent import HearsightAgent
from hearsight.agent.messages import is_interrupted, open_calls
from hearsight.agent.models.base import Delta, GenerateRequest, GenerationEnd
from hearsight.agent.models.scripted import ScriptedConversation, ScriptedEngine, python_call, split_tokens
from hearsight.agent.session import HearsightAgentSession
from hearsight.agent.voice.scripted import ScriptedVoice
from hearsight.streams.audio.vad import SileroModel
from hearsight.streams.events import (
    AddItem,
    AudioCommitted,
    AudioDelta,
    AudioFrame,
    CancelResponse,
    ClearOutput,
    CreateResponse,
    Item,
    Output,
    PlaybackPosition,
    ResponseEnded,
    ResponseStarted,
    TextContent,
    TextDelta,
    TruncateItem,
)
from hearsight.streams.runtime import Perception, RuntimeOptions, SessionRuntime
from hearsight.tools.context import Context
from hearsight.tools.memory import MemoryStore
from hearsight.tools.registry import ToolRegistry
from hearsight.virtual_loop import run_virtually

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "2000" if "CI" in os.environ else "200"))
FRAME = 512
FRAME_S = FRAME / 16_000
OF_A_RESPONSE = (AudioDelta, TextDelta)

ANSWERS = (
    "Yes.",
    "Once upon a time there was a lighthouse at the edge of the sea. Its keeper counted every ship.",
    python_call("mark", {}),
    python_call("look_up", {}),
    python_call("ask_first", {}),
    "Are you sure?",
)

steps = st.lists(
    st.one_of(
        st.tuples(st.just("speak"), st.integers(1, 40)),
        st.tuples(st.just("pause"), st.integers(1, 60)),
        st.tuples(st.just("wait"), st.floats(0, 4)),
        st.tuples(st.just("type"), st.sampled_from(["yes", "no", "go on"])),
        st.tuples(st.just("create")),
        st.tuples(st.just("cancel")),
        st.tuples(st.just("clear_output")),
        st.tuples(st.just("truncate"), st.integers(0, 3_000)),
        st.tuples(st.just("position"), st.integers(0, 3_000)),
        st.tuples(st.just("announce")),
    ),
    max_size=14,
)


class Chooses(ScriptedEngine):
    """Says one thing after the other, whatever it is asked; takes its time between tokens."""

    def __init__(self, answers: list[str], token_s: float, words: list[str]) -> None:
        super().__init__()
        self.answers, self.token_s, self.words = answers, token_s, words
        self.asked = 0

    def open(self, session_id: str) -> ScriptedConversation:
        return _Conversation(self)

    def next_transcript(self) -> str:
        self.words.append(self.words.pop(0))
        return self.words[-1]


class _Conversation(ScriptedConversation):
    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Delta]:
        engine = cast(Chooses, self.engine)
        answer = engine.answers[engine.asked % len(engine.answers)]
        engine.asked += 1
        if request.messages and request.messages[-1].type == "tool":
            answer = "I have done that."
        for token in split_tokens(answer):
            await asyncio.sleep(engine.token_s)
            yield token
        yield GenerationEnd("stop", output_tokens=1)


class Judges:
    """An end-of-turn model of changing opinion."""

    def __init__(self, opinions: list[float]) -> None:
        self.opinions = opinions

    async def probability(self, samples: np.ndarray) -> float:
        await asyncio.sleep(0.03)
        self.opinions.append(self.opinions.pop(0))
        return self.opinions[-1]


def tools(runs: Counter[str], tool_s: float) -> ToolRegistry:
    async def run(call_id: str) -> str:
        runs[call_id] += 1
        await asyncio.sleep(tool_s)
        return "done"

    @tool(extras={"side_effects": True})
    async def mark(context: Context) -> str:
        """Do it."""
        return await run(context.call_id)

    @tool(extras={"side_effects": False})
    async def look_up(context: Context) -> str:
        """Look it up."""
        return await run(context.call_id)

    @tool(extras={"confirm": True})
    async def ask_first(context: Context) -> str:
        """Do what has to be agreed to."""
        return await run(context.call_id)

    return ToolRegistry([mark, look_up, ask_first])


class Conversation:
    """A client, and all that it was told."""

    def __init__(self, runtime: SessionRuntime) -> None:
        self.runtime = runtime
        self.outputs: list[Output] = []
        self.value = 0
        self.typed = 0

    async def listen(self) -> None:
        async for output in self.runtime.outputs():
            self.outputs.append(output)

    async def play(self, step: tuple[Any, ...]) -> None:
        await getattr(self, step[0])(*step[1:])

    async def speak(self, frames: int, probability: float = 0.95) -> None:
        for _ in range(frames):
            samples = np.arange(self.value, self.value + FRAME, dtype=np.int64).astype(np.int16)
            self.value += FRAME
            await asyncio.sleep(FRAME_S)
            self.runtime.perceive(AudioFrame(samples, probability))

    async def pause(self, frames: int) -> None:
        await self.speak(frames, 0.02)

    async def wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def type(self, text: str) -> None:
        self.typed += 1
        item = Item(f"typed_{self.typed}", "message", content=(TextContent(text),))
        await self.runtime.receive(AddItem(item))

    async def create(self) -> None:
        await self.runtime.receive(CreateResponse())

    async def cancel(self) -> None:
        await self.runtime.receive(CancelResponse())

    async def clear_output(self) -> None:
        await self.runtime.receive(ClearOutput())

    async def truncate(self, played_ms: int) -> None:
        if (item_id := self.last_spoken()) is not None:
            await self.runtime.receive(TruncateItem(item_id, played_ms))

    async def position(self, played_ms: int) -> None:
        if (item_id := self.last_spoken()) is not None:
            await self.runtime.receive(PlaybackPosition(item_id, float(played_ms)))

    async def announce(self) -> None:
        self.runtime.announce("Ding.")

    def last_spoken(self) -> str | None:
        spoken = [output.item_id for output in self.outputs if isinstance(output, AudioDelta)]
        return spoken[-1] if spoken else None


async def converse(
    script: list[tuple[Any, ...]],
    answers: list[str],
    opinions: list[float],
    words: list[str],
    token_s: float,
    tool_s: float,
) -> None:
    runs: Counter[str] = Counter()
    memory = MemoryStore(":memory:")
    agent = HearsightAgent(Chooses(answers, token_s, words), ScriptedVoice(), tools(runs, tool_s), memory)
    opened: list[HearsightAgentSession] = []
    open_session = agent.open
    agent.open = lambda *args: opened.append(open_session(*args)) or opened[-1]  # type: ignore[method-assign,func-returns-value]
    perception = Perception(cast(SileroModel, None), Judges(opinions))
    clock = asyncio.get_running_loop().time
    runtime = SessionRuntime("whole", agent, perception, RuntimeOptions(echo_guard=False), clock)
    conversation = Conversation(runtime)
    life = asyncio.create_task(runtime.run())
    listening = asyncio.create_task(conversation.listen())
    for step in script:
        await conversation.play(step)
    # Everything comes to rest: the user is silent, answers end, tools return.
    await conversation.pause(60)
    await asyncio.sleep(60)
    context, items = opened[0].context, runtime._session.items
    check_answered(conversation.outputs)
    assert list(open_calls(context.messages)) == [], "every result is in the context"
    assert all(count == 1 for count in runs.values()), "no call runs twice"
    for message in context.messages:
        if isinstance(message, AIMessage) and is_interrupted(message) and message.id in items:
            assert items.get(message.id).text == message.content, "both sides keep the words that were heard"
    await runtime.close("done")
    await asyncio.gather(life, listening)
    await agent.aclose()
    check_responses(conversation.outputs)
    assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing is left"


def check_answered(outputs: list[Output]) -> None:
    """Every utterance that was committed is answered by what comes after it."""
    committed = [at for at, output in enumerate(outputs) if isinstance(output, AudioCommitted)]
    if committed:
        assert any(isinstance(output, ResponseStarted) for output in outputs[committed[-1] :])


def check_responses(outputs: list[Output]) -> None:
    """One at a time, each ended once, and nothing said of it after that."""
    active: str | None = None
    seen: set[str] = set()
    for output in outputs:
        if isinstance(output, ResponseStarted):
            assert active is None and output.response_id not in seen
            active = output.response_id
            seen.add(active)
        elif isinstance(output, ResponseEnded):
            assert output.response_id == active
            active = None
        elif isinstance(output, OF_A_RESPONSE):
            assert output.response_id == active
    assert active is None


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    steps,
    st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=5),
    st.lists(st.sampled_from([0.1, 0.95]), min_size=1, max_size=3),
    st.lists(st.sampled_from(["", "Mhm.", "Stop it.", "Yes."]), min_size=1, max_size=4),
    st.sampled_from([0.0, 0.02, 0.2]),
    st.sampled_from([0.0, 0.5, 5.0]),
)
def test_whatever_happens_the_whole_keeps_the_promises_of_its_session(
    script, answers, opinions, words, token_s, tool_s
):
    run_virtually(converse(script, answers, opinions, words, token_s, tool_s))
