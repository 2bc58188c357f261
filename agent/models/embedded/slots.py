"""Whose KV cache is where: sessions in the language model's slots, and what was saved from them.

Prefill is what the language model is slow at: on two cores a system prompt of a thousand tokens takes fifteen
seconds, while saving its cache to a file takes 30 ms and restoring it 10 ms. So what took long to prefill is
saved, and every prompt starts from the slot or the saved cache that agrees with most of it, be it of the same
session or of another with the same instructions.

Nothing here touches the model: this is the bookkeeping, in tokens.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

WORTH_SAVING_TOKENS = 128
"""Prefill of so many tokens takes some seconds."""
WORTH_RESTORING_TOKENS = 16
"""Prefill of fewer is as fast as reading a file."""

Tokens = Sequence[int]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a prompt goes, and what has to be done first, in this order."""

    slot: int
    save: str | None
    """Save what is in the slot to this file."""
    restore: str | None
    """Restore the slot from this file."""


@dataclass(slots=True)
class _Slot:
    tokens: Tokens = ()
    session_id: str | None = None
    busy: bool = False
    used: int = 0
    """Number of the placement that used it last; 0 for never."""


@dataclass(slots=True)
class SlotTable:
    """The slots of a model and the files saved from them.

    Attributes:
        slots: Number of slots.
        saved_tokens: The most tokens in files, all together; what was used longest ago goes.
    """

    slots: int
    saved_tokens: int
    _slots: list[_Slot] = field(init=False)
    _saved: OrderedDict[str, Tokens] = field(init=False, default_factory=OrderedDict)
    _dropped: list[str] = field(init=False, default_factory=list)
    _placements: int = field(init=False, default=0)
    _files: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self._slots = [_Slot() for _ in range(self.slots)]

    def place(self, session_id: str, tokens: Tokens) -> Placement | None:
        """Take a slot for a prompt: the session's own, else the one idle for longest.

        Returns:
            The slot, which is busy until `release`; None where all are busy.
        """
        idle = [index for index, slot in enumerate(self._slots) if not slot.busy]
        if not idle:
            return None
        index = min(idle, key=lambda i: (self._slots[i].session_id != session_id, self._slots[i].used))
        slot = self._slots[index]
        kept = common_prefix(slot.tokens, tokens)
        save = self.worth_saving(slot.tokens) if len(slot.tokens) - kept >= WORTH_SAVING_TOKENS else None
        restore = self._best(tokens, at_least=kept + WORTH_RESTORING_TOKENS)
        self._placements += 1
        slot.session_id, slot.busy, slot.used = session_id, True, self._placements
        return Placement(index, save, restore)

    def release(self, index: int, tokens: Tokens) -> None:
        """Give a slot back.

        Args:
            index: Which.
            tokens: What its cache holds now.
        """
        self._slots[index].tokens = tokens
        self._slots[index].busy = False

    def held(self, index: int) -> Tokens:
        """What the cache of a slot holds, as far as is known."""
        return self._slots[index].tokens

    def worth_saving(self, tokens: Tokens) -> str | None:
        """A name for a new file of these tokens' cache; None where files hold most of it already."""
        covered = max((common_prefix(saved, tokens) for saved in self._saved.values()), default=0)
        if len(tokens) - covered < WORTH_SAVING_TOKENS or len(tokens) > self.saved_tokens:
            return None
        self._files += 1
        return f"{self._files}.kv"

    def saved(self, file: str, tokens: Tokens) -> None:
        """A file has been written that holds the cache of these tokens; older ones may have to go."""
        self._saved[file] = tokens
        while sum(map(len, self._saved.values())) > self.saved_tokens:
            oldest, _ = self._saved.popitem(last=False)
            self._dropped.append(oldest)

    def file_of(self, tokens: Tokens) -> str | None:
        """A file that holds the cache of at least these tokens."""
        return next((file for file, saved in self._saved.items() if saved[: len(tokens)] == tokens), None)

    def restored(self, index: int, file: str) -> None:
        """A slot's cache has been restored from a file."""
        self._slots[index].tokens = self._saved[file]

    def discard(self, file: str) -> None:
        """A file could not be written or read."""
        if self._saved.pop(file, None) is not None:
            self._dropped.append(file)

    def forget(self, session_id: str) -> None:
        """A session has ended: its slots are the first to be given to others."""
        for slot in self._slots:
            if slot.session_id == session_id:
                slot.session_id, slot.used = None, 0

    def restart(self) -> None:
        """The model was loaded anew: no slot holds anything, while the files are as good as before."""
        for slot in self._slots:
            slot.tokens, slot.session_id, slot.used = (), None, 0

    def dropped_files(self) -> list[str]:
        """Files that are not needed any more, each named once."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _best(self, tokens: Tokens, *, at_least: int) -> str | None:
        """The file that agrees with most of a prompt."""
        agreement = {file: common_prefix(saved, tokens) for file, saved in self._saved.items()}
        best = max(agreement, key=agreement.__getitem__, default=None)
        if best is None or agreement[best] < at_least:
            return None
        self._saved.move_to_end(best)
        return best


def common_prefix(one: Tokens, other: Tokens) -> int:
    """The number of tokens with which both begin.

    Found by halving, because comparing slices is a hundred times faster than comparing one by one.
    """
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
