"""The keys and values of a conversation, grown in place and rolled back without copying.

Of Gemma 3n's layers only the first ones own keys and values: some see the last 512 tokens (*sliding*), some
all of them (*full*); the last ten (E2B) or fifteen (E4B) reuse those of the last sliding and the last full
layer. transformers' ``DynamicCache`` copies every full layer for each token and cannot be cut back beyond the
sliding window; here full layers grow in place, and a mark keeps a reference to what the sliding ones held.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

_GROWTH_TOKENS = 512
"""Full layers grow by a quarter, and by so many tokens at least."""


class StaleMark(ValueError):
    """A mark that lies after a point to which the cache was rolled back since."""


class _Layer(Protocol):
    """Keys and values of one layer, each of shape (1, key-value heads, tokens, head_dim)."""

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append, and return all that the appended tokens may attend to, themselves included."""
        ...

    def visible(self) -> tuple[Tensor, Tensor]:
        """What the last token may attend to, itself included."""
        ...

    def tensors(self) -> Sequence[Tensor]:
        """All that it holds now."""
        ...

    def snapshot(self) -> Any:
        """What `restore` needs."""
        ...

    def restore(self, snapshot: Any) -> None:
        """Go back."""
        ...


class _FullLayer:
    """All tokens, in buffers that grow in place: cutting back is forgetting the end."""

    def __init__(self) -> None:
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self._length = 0

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        end = self._length + keys.shape[2]
        self._keys = self._with_room(self._keys, keys, end)
        self._values = self._with_room(self._values, values, end)
        self._keys[:, :, self._length : end] = keys
        self._values[:, :, self._length : end] = values
        self._length = end
        return self.visible()

    def _with_room(self, buffer: Tensor | None, like: Tensor, end: int) -> Tensor:
        if buffer is not None and buffer.shape[2] >= end:
            return buffer
        capacity = max(end + end // 4, end + _GROWTH_TOKENS)
        grown = like.new_empty((*like.shape[:2], capacity, like.shape[3]))
        if buffer is not None:
            grown[:, :, : self._length] = buffer[:, :, : self._length]
        return grown

    def visible(self) -> tuple[Tensor, Tensor]:
        assert self._keys is not None and self._values is not None
        return self._keys[:, :, : self._length], self._values[:, :, : self._length]

    def tensors(self) -> Sequence[Tensor]:
        return [buffer for buffer in (self._keys, self._values) if buffer is not None]

    def snapshot(self) -> int:
        return self._length

    def restore(self, snapshot: int) -> None:
        self._length = snapshot


class _SlidingLayer:
    """The last tokens, in tensors that are never written to again: a snapshot is a reference."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._held: tuple[Tensor, Tensor] | None = None

    def extend(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        if self._held is None:
            self._held = keys[:, :, :0], values[:, :, :0]
        # The oldest of the window is out of reach of the first appended token.
        past = slice(-(self._window - 1), None)
        seen_keys = torch.cat([self._held[0][:, :, past], keys], dim=2)
        seen_values = torch.cat([self._held[1][:, :, past], values], dim=2)
        keep = slice(-self._window, None)
        # A copy, lest a long piece stay in memory for the sake of its end.
        self._held = seen_keys[:, :, keep].contiguous(), seen_values[:, :, keep].contiguous()
        return seen_keys, seen_values

    def visible(self) -> tuple[Tensor, Tensor]:
        assert self._held is not None
        return self._held

    def tensors(self) -> Sequence[Tensor]:
        return self._held or ()

    def snapshot(self) -> tuple[Tensor, Tensor] | None:
        return self._held

    def restore(self, snapshot: tuple[Tensor, Tensor] | None) -> None:
        self._held = snapshot


@dataclass(frozen=True, slots=True)
class LastToken:
    """The last token as it left the layers that own keys and values.

    The other layers add nothing to the cache, so they run for this token alone, and only when the logits
    after it are asked for.
    """

    hidden: Tensor
    """(AltUp inputs, 1, 1, hidden)."""
    per_layer: Tensor
    """(1, 1, layers, hidden per layer)."""


@dataclass(frozen=True, eq=False)
class Mark:
    """A point of a conversation to which its cache can be rolled back. Costs the sliding windows at most."""

    length: int
    """Tokens up to here."""
    snapshots: tuple[Any, ...] = field(repr=False)
    last: LastToken | None = field(repr=False)


class KVCache:
    """Keys and values of one conversation.

    Args:
        text_config: The model's ``text_config``.

    Attributes:
        length: Tokens held.
        last: The last of them, None while there is none.
    """

    def __init__(self, text_config: Any) -> None:
        owners = text_config.num_hidden_layers - text_config.num_kv_shared_layers
        self.window: int = text_config.sliding_window
        self._types: list[str] = text_config.layer_types[:owners]
        self._layers: list[_Layer] = [
            _SlidingLayer(self.window) if kind == "sliding_attention" else _FullLayer()
            for kind in self._types
        ]
        self._marks: weakref.WeakSet[Mark] = weakref.WeakSet()
        self.length = 0
        self.last: LastToken | None = None

    def extend_layer(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Append to one layer; see ``advance``. Tensors are (1, heads, tokens, head_dim)."""
        return self._layers[layer].extend(keys, values)

    def advance(self, tokens: int, last: LastToken) -> None:
        """All layers have got so many tokens, of which ``last`` is the last."""
        self.length += tokens
        self.last = last

    def shared(self, kind: str) -> tuple[Tensor, Tensor]:
        """Keys and values that the sharing layers of a kind use for the last token."""
        layer = max(index for index, other in enumerate(self._types) if other == kind)
        return self._layers[layer].visible()

    def mark(self) -> Mark:
        """Remember this point."""
        mark = Mark(self.length, tuple(layer.snapshot() for layer in self._layers), self.last)
        self._marks.add(mark)
        return mark

    @property
    def nbytes(self) -> int:
        """Memory that its tensors take, those that marks keep included."""
        held = [layer.tensors() for layer in self._layers]
        for mark in self._marks:
            held += [snapshot for snapshot in mark.snapshots if isinstance(snapshot, tuple)]
        distinct = {id(tensor): tensor.nbytes for tensors in held for tensor in tensors}
        return sum(distinct.values())

    def rollback(self, mark: Mark) -> None:
        """Go back to a point; points after it are lost.

        Raises:
            StaleMark: The point itself was lost, or belongs to another cache.
        """
        if mark not in self._marks:
            raise StaleMark(f"the cache cannot go back to token {mark.length}: that point was rolled back")
        for layer, snapshot in zip(self._layers, mark.snapshots, strict=True):
            layer.restore(snapshot)
        self.length, self.last = mark.length, mark.last
        for later in [other for other in self._marks if other.length > mark.length]:
            self._marks.discard(later)


class CacheRows:
    """Several conversations as the rows of one batch: what attention layers see as ``past_key_values``.

    Rows of unequal length are padded on the left; `hearsight.agent.models.gemma3n.masks` hides the padding.
    """

    def __init__(self, caches: Sequence[KVCache]) -> None:
        self._caches = caches

    def update(self, keys: Tensor, values: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Append each row to its conversation; return what the batch attends to."""
        rows = [
            cache.extend_layer(layer, keys[row : row + 1], values[row : row + 1])
            for row, cache in enumerate(self._caches)
        ]
        return stack_left_padded(rows)

    def shared(self, kind: str) -> tuple[Tensor, Tensor]:
        """See ``KVCache.shared``, stacked."""
        return stack_left_padded([cache.shared(kind) for cache in self._caches])


def stack_left_padded(rows: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Keys and values of shape (1, heads, tokens, head_dim) each, as one batch."""
    if len(rows) == 1:
        return rows[0]
    longest = max(keys.shape[2] for keys, _ in rows)
    keys, values = (
        torch.cat(
            [torch.nn.functional.pad(row[part], (0, 0, longest - row[part].shape[2], 0)) for row in rows]
        )
        for part in (0, 1)
    )
    return keys, values
