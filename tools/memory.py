"""What the user asked to remember: facts in SQLite, found again by their words."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from hearsight.tools.errors import ToolError

MAX_FACT_CHARS = 500
MAX_FACTS = 1000
"""For each owner; beyond it the oldest fact goes."""

_T = TypeVar("_T")
_MAX_QUERY_WORDS = 16
_BUSY_TIMEOUT_S = 5.0
_STOP_WORDS = frozenset(
    "a about am an and are at be did do does for from had has have how i in is it its me my of on or our "
    "remember said say tell that the their there this to told user users was were what when where which who "
    "why will with you your".split()
)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS memories (
    id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    fact TEXT NOT NULL,
    created_at TEXT NOT NULL,
    UNIQUE (owner, fact)
)
"""
_INDEX = "CREATE VIRTUAL TABLE IF NOT EXISTS memory_words USING fts5(fact, tokenize = 'porter unicode61')"
_COLUMNS = "memories.id, memories.fact, memories.created_at"


@dataclass(frozen=True, slots=True)
class Memory:
    """One fact."""

    id: int
    fact: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Remembered:
    """What became of a fact that was to be remembered."""

    memory: Memory
    new: bool
    """False when the same fact was known already."""
    forgotten: Memory | None = None
    """The oldest fact, where it had to make room."""


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_BUSY


class MemoryStore:
    """Facts of all owners in one SQLite file; safe to use from several sessions and processes.

    All work happens in one thread of its own, which opens the file at first use, so that a slow disk does
    not stop the event loop.

    Args:
        path: The file; made, with its folder, where it does not exist. ``":memory:"`` keeps nothing.
        full_text: Index words with FTS5, which also finds "parked" for "parking"; where it is off, or
            SQLite was built without it, whole words are compared.
        max_facts: How many facts each owner may have.
    """

    def __init__(self, path: Path | str, *, full_text: bool = True, max_facts: int = MAX_FACTS) -> None:
        self._path = path
        self._full_text = full_text
        self._max_facts = max_facts
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")
        self._connection: sqlite3.Connection | None = None

    async def remember(self, fact: str, *, at: datetime, owner: str = "owner") -> Remembered:
        """Keep a fact.

        Args:
            fact: A sentence of at most ``MAX_FACT_CHARS`` characters; white space is tidied.
            at: Now, aware.
            owner: Whose fact it is.

        Raises:
            ToolError: It is empty or too long, or the file cannot be written.
        """
        tidy = " ".join(fact.split())
        if not tidy:
            raise ToolError("There is nothing to remember: the fact is empty.")
        if len(tidy) > MAX_FACT_CHARS:
            raise ToolError(f"A fact to remember has at most {MAX_FACT_CHARS} characters; shorten it.")
        return await self._run(lambda connection: self._insert(connection, tidy, at, owner))

    async def recall(self, query: str = "", *, limit: int = 5, owner: str = "owner") -> tuple[Memory, ...]:
        """Facts that share words with a query, the best match first; the newest ones for an empty query.

        Raises:
            ToolError: The file cannot be read.
        """
        if not query.strip():
            return await self._run(lambda connection: _newest(connection, owner, limit))
        words = [word for word in _words(query) if word not in _STOP_WORDS][:_MAX_QUERY_WORDS]
        if not words:
            return ()
        return await self._run(lambda connection: self._search(connection, words, owner, limit))

    async def aclose(self) -> None:
        """Close the file; no thread remains. May be called again."""
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._connection = None
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._with, work)
        except (sqlite3.Error, OSError) as error:
            raise ToolError("The memory file cannot be used at the moment.") from error

    def _with(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._connection is None:
            self._connection = self._open()
        with self._connection:  # One transaction, rolled back where the work fails.
            return work(self._connection)

    # SQLite's own timeout does not cover the change to WAL, which two processes may attempt at once.
    @retry(
        retry=retry_if_exception(_is_busy),
        wait=wait_random(0.01, 0.05),
        stop=stop_after_delay(_BUSY_TIMEOUT_S),
        reraise=True,
    )
    def _open(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with connection:
                connection.execute(_SCHEMA)
            self._full_text = self._full_text and _open_index(connection)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _insert(self, connection: sqlite3.Connection, fact: str, at: datetime, owner: str) -> Remembered:
        cursor = connection.execute(
            "INSERT OR IGNORE INTO memories (owner, fact, created_at) VALUES (?, ?, ?)",
            (owner, fact, at.isoformat()),
        )
        new = cursor.rowcount == 1
        row = connection.execute(
            f"SELECT {_COLUMNS} FROM memories WHERE owner = ? AND fact = ?", (owner, fact)
        ).fetchone()
        memory = _memory(row)
        if not new:
            return Remembered(memory, new=False)
        if self._full_text:
            connection.execute("INSERT INTO memory_words (rowid, fact) VALUES (?, ?)", (memory.id, fact))
        return Remembered(memory, new=True, forgotten=self._make_room(connection, owner))

    def _make_room(self, connection: sqlite3.Connection, owner: str) -> Memory | None:
        (count,) = connection.execute("SELECT count(*) FROM memories WHERE owner = ?", (owner,)).fetchone()
        if count <= self._max_facts:
            return None
        oldest = _memory(
            connection.execute(
                f"SELECT {_COLUMNS} FROM memories WHERE owner = ? ORDER BY id LIMIT 1", (owner,)
            ).fetchone()
        )
        connection.execute("DELETE FROM memories WHERE id = ?", (oldest.id,))
        if self._full_text:
            connection.execute("DELETE FROM memory_words WHERE rowid = ?", (oldest.id,))
        return oldest

    def _search(
        self, connection: sqlite3.Connection, words: list[str], owner: str, limit: int
    ) -> tuple[Memory, ...]:
        if not self._full_text:
            return _sharing_words(connection, words, owner, limit)
        # Quoted, a word is a word to FTS5 and never an operator; \w holds no quotation mark.
        expression = " OR ".join(f'"{word}"' for word in words)
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM memory_words JOIN memories ON memories.id = memory_words.rowid "
            "WHERE memory_words MATCH ? AND memories.owner = ? "
            "ORDER BY bm25(memory_words), memories.id DESC LIMIT ?",
            (expression, owner, limit),
        )
        return tuple(_memory(row) for row in rows)


def _open_index(connection: sqlite3.Connection) -> bool:
    """Make the index where it is missing or behind; False when this SQLite cannot."""
    try:
        with connection:
            connection.execute(_INDEX)
            # A process without FTS5 adds facts but not their words, and drops facts but not theirs.
            connection.execute(
                "DELETE FROM memory_words WHERE rowid NOT IN (SELECT id FROM memories)",
            )
            connection.execute(
                "INSERT INTO memory_words (rowid, fact) SELECT id, fact FROM memories "
                "WHERE id NOT IN (SELECT rowid FROM memory_words)"
            )
    except sqlite3.OperationalError as error:
        if "fts5" not in str(error):
            raise
        return False
    return True


def _newest(connection: sqlite3.Connection, owner: str, limit: int) -> tuple[Memory, ...]:
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM memories WHERE owner = ? ORDER BY id DESC LIMIT ?", (owner, limit)
    )
    return tuple(_memory(row) for row in rows)


def _sharing_words(
    connection: sqlite3.Connection, words: list[str], owner: str, limit: int
) -> tuple[Memory, ...]:
    """The facts with the most words of the query, the newest first among equals."""
    wanted = set(words)
    ranked = []
    for memory in _newest(connection, owner, MAX_FACTS):
        shared = len(wanted & set(_words(memory.fact)))
        if shared:
            ranked.append((shared, memory))
    ranked.sort(key=lambda pair: pair[0], reverse=True)
    return tuple(memory for _, memory in ranked[:limit])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _memory(row: tuple[int, str, str]) -> Memory:
    return Memory(row[0], row[1], datetime.fromisoformat(row[2]))
