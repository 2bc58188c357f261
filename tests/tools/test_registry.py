from __future__ import annotations

import asyncio
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import ToolMessage
from langchain_core.messages.tool import ToolOutputMixin
from langchain_core.tools import ToolException, tool
from pydantic import Field

from hearsight.config.conversation import ToolSettings
from hearsight.tools.builtin import BUILT_IN, built_in_registry
from hearsight.tools.calls import MAX_CONTENT_BYTES, MAX_SPOKEN_BYTES, Reply, ToolCall, ToolOutcome, bounded
from hearsight.tools.context import Context
from hearsight.tools.errors import ToolError
from hearsight.tools.registry import ToolRegistry

WEATHER = {
    "name": "get-weather",
    "description": "Get the weather.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "from": {"type": "integer"}},
        "required": ["city"],
    },
}


@tool(extras={"side_effects": False})
def double(number: Annotated[int, Field(le=1000)]) -> str:
    """Double a number."""
    return str(number * 2)


@tool(return_direct=True)
async def greet(name: str) -> str:
    """Greet someone."""
    return f"Hello {name}!"


@tool(response_format="content_and_artifact", extras={"confirm": True, "long_running": True})
async def whose(context: Context) -> Reply:
    """Tell whose session this is."""
    return Reply(context.session_id, "not to be said")


@tool
async def flood() -> str:
    """Return far too much."""
    return "é" * 20_000


@tool
async def stuck() -> str:
    """Never return."""
    await asyncio.Event().wait()
    return "never"


@tool
async def broken(how: str) -> str:
    """Fail."""
    errors: dict[str, Exception] = {
        "tool": ToolError("There is no more paper."),
        "langchain": ToolException("The printer is off."),
        "bug": KeyError("/secret/path"),
        "timeout": TimeoutError("socket"),
    }
    raise errors[how]


@tool
async def foreign(kind: str) -> Any:
    """Return what tools of other origin return."""
    if kind == "error":
        return ToolMessage("It is out of order.", tool_call_id="call-7", status="error")
    if kind == "blocks":
        blocks = [{"type": "text", "text": "two "}, {"type": "text", "text": "blocks"}]
        return ToolMessage(blocks, tool_call_id="call-7")
    return Odd()


class Odd(ToolOutputMixin):
    """What LangChain hands on as it is."""

    def __str__(self) -> str:
        return "odd"


@tool
async def total(numbers: list[int]) -> str:
    """Add up numbers."""
    return str(sum(numbers))


TOOLS = (double, greet, whose, flood, stuck, broken, foreign, total)


class Ticks:
    """A clock that moves by a quarter of a second whenever it is read."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.25
        return self.now_s


@pytest.fixture
def registry() -> ToolRegistry:
    return ToolRegistry(TOOLS, timeout_s=0.05, clock=Ticks())


def call(tool_name: str, /, **arguments: Any) -> ToolCall:
    return ToolCall("call-7", tool_name, arguments)


async def test_a_call_is_run_and_timed(registry, session) -> None:
    outcome = await registry.run(call("double", number="21"), session.context)
    assert outcome == ToolOutcome("call-7", "double", "42", say=None, ok=True, duration_s=0.25)


async def test_the_context_is_filled_in_and_never_seen(registry, session) -> None:
    spec = registry.find("whose")
    assert spec is not None and spec.parameters["properties"] == {}
    outcome = await registry.run(call("whose"), session.context)
    assert outcome.content == "session-1"
    forged = await registry.run(call("whose", context="forged"), session.context)
    assert not forged.ok and "context: there is no such argument" in forged.content


async def test_only_direct_replies_are_spoken_as_they_are(registry, session) -> None:
    assert (await registry.run(call("greet", name="Ann"), session.context)).say == "Hello Ann!"
    assert (await registry.run(call("whose"), session.context)).say is None


def test_flags_come_from_the_tool_and_unknown_tools_are_taken_to_have_effects(registry) -> None:
    specs = {spec.name: spec for spec in registry.specs()}
    assert not specs["double"].side_effects
    assert specs["greet"].side_effects and specs["greet"].return_direct
    assert specs["whose"].confirm and specs["whose"].long_running
    assert not specs["greet"].confirm and not specs["greet"].long_running


@pytest.mark.parametrize(
    ("request_", "parts"),
    [
        (call("double", number="ten"), ["number", "'ten'", "def double(number: int) -> str"]),
        (call("double", number=2000), ["less than or equal to 1000"]),
        (call("double"), ["number: is required"]),
        (call("double", number=1, unit="x"), ["unit: there is no such argument"]),
        (call("triple", number=1), ["no tool named 'triple'", "double, greet"]),
        (call("total", numbers=[1, "two"]), ["Wrong arguments for total", "def total(numbers: list[int])"]),
        (call("broken", how="tool"), ["There is no more paper."]),
        (call("broken", how="langchain"), ["The printer is off."]),
        (call("broken", how="bug"), ["error inside it"]),
        (call("broken", how="timeout"), ["error inside it"]),
        (call("stuck"), ["took longer than 0.05 seconds"]),
    ],
)
async def test_failures_are_reasons_to_act_on(
    registry, session, request_: ToolCall, parts: list[str]
) -> None:
    outcome = await registry.run(request_, session.context)
    assert not outcome.ok and outcome.say is None
    assert outcome.call_id == "call-7"
    assert all(part in outcome.content for part in parts), outcome.content
    assert "secret" not in outcome.content and "socket" not in outcome.content


async def test_long_results_are_cut_and_say_so(registry, session) -> None:
    outcome = await registry.run(call("flood"), session.context)
    assert outcome.ok
    assert len(outcome.content.encode()) <= MAX_CONTENT_BYTES
    assert outcome.content.endswith("[Cut: 40000 bytes, of which this is the beginning.]")


@pytest.mark.parametrize(
    ("kind", "content", "ok"),
    [("error", "It is out of order.", False), ("blocks", "two blocks", True), ("odd", "odd", True)],
)
async def test_tools_of_other_origin(registry, session, kind: str, content: str, ok: bool) -> None:
    outcome = await registry.run(call("foreign", kind=kind), session.context)
    assert (outcome.content, outcome.ok) == (content, ok)


@given(st.text(max_size=300), st.integers(100, 200))
def test_no_cut_breaks_a_character_or_the_bound(text: str, limit_bytes: int) -> None:
    result = bounded(text, limit_bytes)
    assert len(result.encode()) <= limit_bytes
    assert result == text or "[Cut: " in result


async def test_cancelling_a_call_is_no_outcome(session) -> None:
    task = asyncio.create_task(ToolRegistry(TOOLS).run(call("stuck"), session.context))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_calls_run_side_by_side(session) -> None:
    met = asyncio.Barrier(3)

    @tool
    async def meet() -> str:
        """Wait for the others."""
        await met.wait()
        return "met"

    registry = ToolRegistry([meet])
    outcomes = await asyncio.gather(*(registry.run(call("meet"), session.context) for _ in range(3)))
    assert [outcome.content for outcome in outcomes] == ["met"] * 3


async def test_a_tool_may_have_a_time_limit_of_its_own(session) -> None:
    patient = stuck.model_copy(update={"name": "patient", "extras": {"timeout_s": 0.02}})
    registry = ToolRegistry([stuck, patient], timeout_s=0.01)
    for name, limit in (("stuck", "0.01"), ("patient", "0.02")):
        outcome = await registry.run(call(name), session.context)
        assert outcome.content == f"{name} took longer than {limit} seconds and was stopped."


async def test_tools_can_be_added_to_a_registry_that_stays_as_it_is(session) -> None:
    clock = Ticks()
    before = ToolRegistry([double], timeout_s=0.05, clock=clock)
    after = before.with_tools([greet, stuck])
    assert [spec.name for spec in before.specs()] == ["double"]
    assert [spec.name for spec in after.specs()] == ["double", "greet", "stuck"]
    assert (await after.run(call("double", number=4), session.context)).content == "8"
    assert "longer than 0.05 seconds" in (await after.run(call("stuck"), session.context)).content
    with pytest.raises(ValueError, match="two tools are named double"):
        before.with_tools([double])


def test_two_tools_of_one_name_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="double"):
        ToolRegistry([double, double])


class TestClientTools:
    def test_they_join_the_session_and_leave_the_shared_registry_alone(self, registry) -> None:
        with_weather = registry.with_client_tools([WEATHER])
        assert [spec.name for spec in with_weather.specs()][-1] == "get-weather"
        assert with_weather.specs()[-1].client
        assert registry.find("get-weather") is None

    @pytest.mark.parametrize("name", ["double", "whose"])
    async def test_the_clients_tool_wins_where_names_collide(self, registry, session, name: str) -> None:
        mixed = registry.with_client_tools([{"name": name, "description": "Mine."}])
        assert [spec.description for spec in mixed.specs() if spec.name == name] == ["Mine."]
        assert len(mixed.specs()) == len(TOOLS)
        outcome = await mixed.run(call(name), session.context)
        assert not outcome.ok and "run by the client" in outcome.content

    def test_names_that_read_alike_collide_too(self, session) -> None:
        mixed = ToolRegistry(BUILT_IN.values()).with_client_tools([{"name": "set-timer"}])
        assert mixed.find("set_timer") == mixed.find("set-timer")
        assert "set_timer" not in [spec.name for spec in mixed.specs()]

    def test_calls_are_checked_and_get_their_true_names(self, registry) -> None:
        mixed = registry.with_client_tools([WEATHER])
        checked = mixed.check(call("get_weather", city="Oslo", from_="3"))
        assert checked == ToolCall("call-7", "get-weather", {"city": "Oslo", "from": 3})
        refused = mixed.check(call("get_weather", town="Oslo"))
        assert isinstance(refused, ToolOutcome) and "city: is required" in refused.content

    def test_a_bad_declaration_is_refused(self, registry) -> None:
        with pytest.raises(ToolError, match=r"tools\[0\]\.name"):
            registry.with_client_tools([{"name": "no spaces"}])


class TestBuiltIn:
    def test_settings_choose_the_tools(self) -> None:
        chosen = built_in_registry(ToolSettings(enabled=("calculate", "get_time"), timeout_s=3))
        assert [spec.name for spec in chosen.specs()] == ["get_time", "calculate"]
        assert {spec.name for spec in built_in_registry(ToolSettings()).specs()} == set(BUILT_IN)

    def test_what_may_run_speculatively_and_what_speaks_for_itself(self) -> None:
        specs = built_in_registry(ToolSettings()).specs()
        changing = {"set_timer", "cancel_timer", "remember", "watch", "stop_watching"}
        assert {spec.name for spec in specs if spec.side_effects} == changing
        assert {spec.name for spec in specs if spec.idempotent} == {"set_timer", "remember"}
        assert {spec.name for spec in specs if not spec.return_direct} == {"look", "read_text", "recall"}

    def test_every_parameter_is_described(self) -> None:
        for spec in built_in_registry(ToolSettings()).specs():
            assert spec.description.endswith(".")
            assert all(schema.get("description") for schema in spec.parameters["properties"].values()), (
                spec.name
            )


JSON = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers())
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from([*BUILT_IN, "unknown"]),
    st.dictionaries(
        st.sampled_from("place days_from_today expression seconds label question fact query".split()),
        JSON,
        max_size=2,
    ),
)
async def test_no_call_raises(session, name: str, arguments: dict[str, Any]) -> None:
    outcome = await session.registry.run(ToolCall("call-1", name, arguments), session.context)
    assert outcome.content
    assert len(outcome.content.encode()) <= MAX_CONTENT_BYTES
    assert "error inside it" not in outcome.content


@tool(return_direct=True, response_format="content_and_artifact")
async def speech(length: int) -> tuple[str, str]:
    """Make a speech."""
    return "Done.", "word " * length


async def test_what_is_spoken_as_it_is_has_a_bound(session: Any) -> None:
    registry = ToolRegistry([speech])
    short = await registry.run(ToolCall("c", "speech", {"length": 2}), session.context)
    assert (short.content, short.say) == ("Done.", "word word ")
    long = await registry.run(ToolCall("c", "speech", {"length": 1_000_000}), session.context)
    assert long.say is not None and len(long.say.encode()) <= MAX_SPOKEN_BYTES
    assert long.say.endswith("[Cut: 5000000 bytes, of which this is the beginning.]")
