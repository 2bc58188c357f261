"""Whose a conversation is: the session that has taken it up last, in whichever process."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hearsight.streams.errors import Superseded
from hearsight.streams.ports import DELETED, MOVED

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS hearsight_owners (thread_id TEXT PRIMARY KEY, epoch BIGINT NOT NULL)",
)


class Sql(Protocol):
    """Runs one statement, whose values stand as ``?``, and gives its rows; of whichever database."""

    async def __call__(self, statement: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        """Run it."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """What a session may go on writing: the checkpoint, for as long as the conversation is of this epoch.

    Epochs count how often the conversation was taken up. Whoever takes it up begins the next one, and a write
    of an earlier one is refused in the transaction that would have made it.
    """

    epoch: int
    checkpoint_id: str

    @classmethod
    def parse(cls, revision: str) -> Claim | None:
        """The claim in a revision as ``str`` wrote it; None in an empty one."""
        if not revision:
            return None
        epoch, _, checkpoint_id = revision.partition(" ")
        return cls(int(epoch), checkpoint_id)

    def __str__(self) -> str:
        return f"{self.epoch} {self.checkpoint_id}"


def check(claim: Claim, epoch: int | None) -> None:
    """Refuse a claim that is not the newest.

    Args:
        claim: What a session goes by.
        epoch: The conversation's; None where it has none, for it was deleted.

    Raises:
        Superseded: It is another.
    """
    if epoch is None:
        raise Superseded(DELETED, code="session_deleted")
    if epoch != claim.epoch:
        raise Superseded(MOVED)


async def take(sql: Sql, session_id: str) -> int:
    """Begin a new epoch of a conversation, its first one perhaps; every earlier claim is void."""
    (row,) = await sql(
        "INSERT INTO hearsight_owners (thread_id, epoch) VALUES (?, ?) "
        "ON CONFLICT (thread_id) DO UPDATE SET epoch = hearsight_owners.epoch + 1 RETURNING epoch",
        session_id,
        # Not 1: what is begun anew under the name of a conversation that was deleted is another one.
        secrets.randbits(48),
    )
    return int(row[0])


async def current(sql: Sql, session_id: str) -> int | None:
    """The epoch of a conversation; None where nobody has one."""
    rows = await sql("SELECT epoch FROM hearsight_owners WHERE thread_id = ?", session_id)
    return int(rows[0][0]) if rows else None


async def hold(sql: Sql, session_id: str, claim: Claim) -> None:
    """Insist on a claim until the end of the transaction, in which nobody can take the conversation up.

    Raises:
        Superseded: Somebody has.
    """
    rows = await sql(
        "UPDATE hearsight_owners SET epoch = epoch WHERE thread_id = ? AND epoch = ? RETURNING epoch",
        session_id,
        claim.epoch,
    )
    if not rows:
        check(claim, await current(sql, session_id))


async def give_up(sql: Sql, session_id: str) -> None:
    """The conversation is deleted: no claim on it holds."""
    await sql("DELETE FROM hearsight_owners WHERE thread_id = ?", session_id)
