"""The conversation as the client sees it: an ordered list of items."""

from __future__ import annotations

from hearsight.streams.errors import InvalidEvent, LimitExceeded, NotFound
from hearsight.streams.events import AudioContent, ImageContent, Item

ROOT = "root"
"""The ``previous_item_id`` that means "before everything"."""
MAX_ITEMS = 10_000
MAX_BYTES = 256 * 1024 * 1024
"""Of all items of a conversation; a client may put in none beyond it, while what is said goes on."""


class Items:
    """Insertion, removal and look-up by id, in order."""

    def __init__(self, limit: int = MAX_ITEMS, max_bytes: int = MAX_BYTES) -> None:
        self._order: list[str] = []
        self._by_id: dict[str, Item] = {}
        self._limit = limit
        self._max_bytes = max_bytes
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._by_id

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids from first to last."""
        return tuple(self._order)

    @property
    def last_id(self) -> str | None:
        """Id of the newest item."""
        return self._order[-1] if self._order else None

    def check_insert(self, item: Item, after: str | None) -> None:
        """Refuse what ``insert`` could not do.

        Raises:
            InvalidEvent: The id is taken.
            NotFound: There is no item ``after``.
            LimitExceeded: The conversation has as many items as it may.
        """
        if item.id in self._by_id:
            raise InvalidEvent(
                f"There is already an item with the id '{item.id}'.",
                code="item_already_exists",
                param="item.id",
            )
        if after is not None and after != ROOT and after not in self._by_id:
            raise NotFound(f"There is no item '{after}' to put the new one after.", param="previous_item_id")
        if len(self._order) >= self._limit:
            raise LimitExceeded(
                f"The conversation already has {self._limit:,} items; delete some or start a new session."
            )

    def check_size(self, item: Item) -> None:
        """Refuse an item of a client for which there is no room.

        Raises:
            LimitExceeded: The conversation is as large as it may be.
        """
        if self._bytes + size_of(item) > self._max_bytes:
            mebibytes = self._max_bytes // 2**20
            raise LimitExceeded(
                f"The items of a conversation may have {mebibytes} MiB together; delete some or start a new "
                "session."
            )

    def insert(self, item: Item, after: str | None = None) -> str | None:
        """Add an item; returns the id of the one before it.

        Raises:
            HearsightError: See ``check_insert``.
        """
        self.check_insert(item, after)
        if after is None:
            at = len(self._order)
        elif after == ROOT:
            at = 0
        else:
            at = self._order.index(after) + 1
        self._order.insert(at, item.id)
        self._by_id[item.id] = item
        self._bytes += size_of(item)
        return self._order[at - 1] if at else None

    def replace(self, item: Item) -> None:
        """Put a newer version of an item in its place."""
        if item.id in self._by_id:
            self._bytes += size_of(item) - size_of(self._by_id[item.id])
            self._by_id[item.id] = item

    def remove(self, item_id: str) -> None:
        """Take an item out.

        Raises:
            NotFound: There is none of that id.
        """
        self._bytes -= size_of(self.get(item_id))
        self._order.remove(item_id)
        del self._by_id[item_id]

    def get(self, item_id: str) -> Item:
        """The item of that id.

        Raises:
            NotFound: There is none.
        """
        try:
            return self._by_id[item_id]
        except KeyError:
            raise NotFound(f"There is no item '{item_id}' in this conversation.", param="item_id") from None

    def before(self, item_id: str) -> str | None:
        """Id of the item before this one."""
        at = self._order.index(item_id)
        return self._order[at - 1] if at else None


def size_of(item: Item) -> int:
    """About what an item holds, in bytes."""
    size = len(item.output or "") + len(item.error or "") + len(item.call.arguments if item.call else "")
    for part in item.content:
        if isinstance(part, ImageContent):
            size += len(part.picture.data)
        elif isinstance(part, AudioContent):
            size += (part.samples.nbytes if part.samples is not None else 0) + len(part.transcript or "")
        else:
            size += len(part.text)
    return size
