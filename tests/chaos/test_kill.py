"""A service that is killed with ``kill -9`` again and again, while clients hold conversations with it.

``CHAOS_KILLS`` says how often, ``CHAOS_CLIENTS`` in how many conversations at once: a few by default, 200
kills over 20 conversations under ``make chaos``.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from typing import Any

import pytest
from killed_service import Count, KilledService, Talker, check_told
from langchain_core.messages import AIMessage, ToolMessage

from hearsight.agent.keeping import NOT_RUN, UNKNOWN
from hearsight.config.keeping import ConversationsSettings
from hearsight.conversation_store import open_conversations

KILLS = int(os.environ.get("CHAOS_KILLS", "8"))
CLIENTS = int(os.environ.get("CHAOS_CLIENTS", "4"))


@pytest.mark.timeout(120 + 60 * KILLS)
async def test_nothing_that_was_told_is_lost_and_no_tool_runs_twice(tmp_path):
    chance = random.Random(20_261_126)
    service = KilledService(tmp_path)
    talkers = [Talker(service, random.Random(number), f"c{number}") for number in range(CLIENTS)]
    talking = [asyncio.create_task(talker.talk()) for talker in talkers]
    try:
        for _ in range(KILLS):
            await service.start()
            await service.tell(chance.randrange(1, 50 * CLIENTS))
            await asyncio.sleep(chance.uniform(0, 0.01))
            await service.kill()
    finally:
        await service.kill()
        for task in talking:
            task.cancel()
        outcomes = await asyncio.gather(*talking, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes), outcomes

    statuses = sum((talker.statuses for talker in talkers), Counter[str]())
    assert statuses["completed"] > KILLS
    marks = Counter((tmp_path / "mark.log").read_text().splitlines())
    assert [line for line, count in marks.items() if count > 1] == []
    begun = {line.split()[0] for line in marks if line.endswith("begin")}
    ended = {line.split()[0] for line in marks if line.endswith("end")}
    kept: dict[str, ToolMessage] = {}
    in_the_midst: set[str] = set()
    noted: set[str] = set()
    count = Count()
    async with open_conversations(ConversationsSettings(path=tmp_path / "conversations.sqlite")) as keeper:
        assert keeper is not None
        for talker in talkers:
            if talker.items:
                record = await keeper.find(talker.session_id)
                assert record is not None
                count += check_told(talker, record.session)
        # A client that has heard nothing yet begins anew, and leaves a conversation that it knows nothing of.
        for conversation in await keeper.all():
            record = await keeper.find(conversation.session_id)
            assert record is not None
            kept |= results_of(record.agent["messages"])
            in_the_midst |= {call["id"] for call in record.agent["running"]}
            noted |= record.results.keys()
    # The last kill may have left calls that nobody has picked up yet; they are known to have been running.
    assert begun <= kept.keys() | in_the_midst
    unknown = {call_id for call_id, result in kept.items() if result.content == UNKNOWN.format(name="mark")}
    untouched = {call_id for call_id, result in kept.items() if result.content == NOT_RUN.format(name="mark")}
    assert not untouched & begun
    assert begun - ended <= unknown | in_the_midst
    lost = statuses["failed"]
    sys.stdout.write(
        f"\n{KILLS} kills over {CLIENTS} conversations. Told for good, and there after the restart: "
        f"{count.turns} of {count.turns} turns, {count.results} of {count.results} results of tools, "
        f"{count.words:,} of {count.words:,} words of answers.\n"
        f"{statuses['completed']} answers were completed; {lost} were being given when the service was "
        "killed, at most one a kill and conversation, and ended as failed.\n"
        f"{len(begun)} tools that may run once ran once; {len(begun - ended)} were cut off and "
        f"{len(untouched)} not begun, which the model was told. {len(unknown & ended)} had done their work "
        "and not returned: nobody can know of those.\n"
    )
    assert lost <= KILLS * CLIENTS


def results_of(messages: list[Any]) -> dict[str, ToolMessage]:
    """The results by call; every call but one that was just being made has exactly one."""
    calls = [call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls]
    results = {message.tool_call_id: message for message in messages if isinstance(message, ToolMessage)}
    assert len(results) == sum(isinstance(message, ToolMessage) for message in messages)
    missing = [call["id"] for call in calls if call["id"] not in results]
    assert len(missing) <= 1, f"there are no results of {missing}"
    return results
