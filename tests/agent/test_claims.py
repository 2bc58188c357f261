"""Whose a conversation is, tried by sessions that take it from each other, in a real database."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsight.agent import claims
from hearsight.agent.claims import Claim
from hearsight.streams.errors import Superseded


class Database:
    """A database in memory."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:")
        for statement in claims.SCHEMA:
            self._connection.execute(statement)

    async def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values).fetchall()


def test_a_claim_reads_back() -> None:
    claim = Claim(7, "1f0c-6a2b")
    assert Claim.parse(str(claim)) == claim
    assert Claim.parse("") is None


def test_the_newest_claim_is_good_and_all_others_say_why_not() -> None:
    claims.check(Claim(3, "c"), 3)
    with pytest.raises(Superseded, match="has taken over this session") as moved:
        claims.check(Claim(3, "c"), 4)
    with pytest.raises(Superseded, match="was deleted") as deleted:
        claims.check(Claim(3, "c"), None)
    assert (moved.value.code, deleted.value.code) == ("session_taken_over", "session_deleted")


Step = tuple[str, int, str]
"""What is done, by which session, to which conversation."""


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["take", "hold", "delete"]), st.integers(0, 3), st.sampled_from(["s1", "s2"])
        )
    )
)
def test_only_whoever_has_taken_a_conversation_up_last_may_write_it(steps: list[Step]) -> None:
    async def follow() -> None:
        sql = Database()
        owners: dict[str, tuple[int, Claim] | None] = {}
        """Which session has each conversation, as a child would keep count of it."""
        held: dict[tuple[int, str], Claim] = {}
        for what, session, conversation in steps:
            if what == "take":
                claim = Claim(await claims.take(sql, conversation), "c")
                held[session, conversation] = claim
                owners[conversation] = (session, claim)
            elif what == "delete":
                await claims.give_up(sql, conversation)
                owners[conversation] = None
            elif (session, conversation) in held:
                claim = held[session, conversation]
                if owners.get(conversation) == (session, claim):
                    await claims.hold(sql, conversation, claim)
                else:
                    with pytest.raises(Superseded):
                        await claims.hold(sql, conversation, claim)

    asyncio.run(follow())


async def test_each_epoch_follows_the_one_before_whatever_becomes_of_other_conversations() -> None:
    sql: Callable[..., Any] = Database()
    first = await claims.take(sql, "s1")
    await claims.take(sql, "s2")
    assert await claims.take(sql, "s1") == first + 1 == await claims.current(sql, "s1")
    assert await claims.current(sql, "s3") is None
