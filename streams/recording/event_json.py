"""Events as JSON and back, whatever their fields: nothing in here knows a single event.

A dataclass becomes an object with its name under ``type`` and its fields; a field that has its default is
left out, so that a field added later changes nothing that was written before. Audio and bytes are no JSON:
a `MediaWriter` says what stands for them, and a `MediaReader` gives them back.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, Protocol, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

from hearsight.streams.events import Input, Output, Samples

TYPE: Final = "type"
"""The key that names the dataclass; no dataclass may have a field of that name."""


class MalformedEvent(ValueError):
    """JSON that is no such event; says where and why."""


class MediaWriter(Protocol):
    """Puts media elsewhere."""

    def samples(self, samples: Samples) -> dict[str, Any]:
        """What stands for audio."""
        ...

    def data(self, data: bytes) -> dict[str, Any]:
        """What stands for an encoded picture."""
        ...


class MediaReader(Protocol):
    """Brings media back."""

    def samples(self, value: Any) -> Samples:
        """The audio that this stands for.

        Raises:
            MalformedEvent: It stands for none.
        """
        ...

    def data(self, value: Any) -> bytes:
        """The encoded picture that this stands for.

        Raises:
            MalformedEvent: It stands for none.
        """
        ...


def dumps(value: Any) -> str:
    """The one way to write JSON here: equal values give equal bytes."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- to JSON ---------------------------------------------------------------------------------------------


def to_json(value: Any, media: MediaWriter) -> Any:
    """Turn an event, or a part of one, into what `json` can write.

    Raises:
        TypeError: It holds something that no event holds.
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.ndarray():
            return media.samples(value)
        case bytes():
            return media.data(value)
        case tuple() | list():
            return [to_json(each, media) for each in value]
        case dict():
            return {key: to_json(each, media) for key, each in value.items()}
    if not is_dataclass(value):
        raise TypeError(f"{type(value).__name__} has no place in an event")
    shown = {TYPE: type(value).__name__}
    for field in fields(value):
        each = getattr(value, field.name)
        if not _is_default(each, field):
            shown[field.name] = to_json(each, media)
    return shown


def _is_default(value: Any, field: Field[Any]) -> bool:
    """Whether a field holds its default, type included: 0 is written where the default is 0.0."""
    if field.default_factory is not MISSING:
        default = field.default_factory()
    elif field.default is not MISSING:
        default = field.default
    else:
        return False
    return type(value) is type(default) and not isinstance(value, np.ndarray) and bool(value == default)


# --- and back --------------------------------------------------------------------------------------------


def input_from_json(value: Any, media: MediaReader) -> Input:
    """Read what `to_json` made of an input of a session.

    Raises:
        MalformedEvent: It is none.
    """
    return cast(Input, from_json(value, cast(type, Input), media))


def output_from_json(value: Any, media: MediaReader) -> Output:
    """Read what `to_json` made of an output of a session.

    Raises:
        MalformedEvent: It is none.
    """
    return cast(Output, from_json(value, cast(type, Output), media))


def from_json(value: Any, hint: Any, media: MediaReader) -> Any:
    """Read a value of a given type; unknown fields are refused, as are missing ones that have no default.

    Args:
        value: What `json` read.
        hint: A dataclass, or the type of a field of one.
        media: Brings audio and pictures back.

    Raises:
        MalformedEvent: The value is not of that type.
    """
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return _read_union(value, get_args(hint), media)
    if kind is Literal:
        return _expect(value, value in get_args(hint), f"one of {get_args(hint)}")
    if kind is tuple:
        each_hint, *_ = get_args(hint)
        _expect(value, isinstance(value, list), "a list")
        return tuple(from_json(each, each_hint, media) for each in value)
    if kind is dict:
        _expect(value, isinstance(value, dict), "an object")
        return {key: from_json(each, get_args(hint)[1], media) for key, each in value.items()}
    if kind is np.ndarray:
        return media.samples(value)
    if is_dataclass(kind):
        return _read_dataclass(value, cast(type, kind), media)
    return _read_plain(value, kind, media)


def _read_plain(value: Any, kind: Any, media: MediaReader) -> Any:
    if kind is Any:
        return value
    if kind is bytes:
        return media.data(value)
    if kind is float:  # an integer stays one, so that it is written again as it was
        return _expect(value, type(value) in (int, float), "a number")
    return _expect(
        value, type(value) is kind, "nothing" if kind is NoneType else f"a value of type {kind.__name__}"
    )


def _read_union(value: Any, hints: tuple[Any, ...], media: MediaReader) -> Any:
    """The first type that fits; a dataclass fits by its name."""
    if value is None and NoneType in hints:
        return None
    named: dict[str, Any] = {cast(type, hint).__name__: hint for hint in hints if is_dataclass(hint)}
    if named and isinstance(value, dict) and TYPE in value:
        name = value[TYPE]
        _expect(name, isinstance(name, str) and name in named, "a known type here")
        return from_json(value, named[name], media)
    others = [hint for hint in hints if hint is not NoneType and not is_dataclass(hint)]
    for hint in others:
        try:
            return from_json(value, hint, media)
        except MalformedEvent:
            if hint is others[-1]:
                raise
    raise MalformedEvent(f"{_shown(value)} should be one of {', '.join(sorted(named))}")


def _read_dataclass(value: Any, kind: type, media: MediaReader) -> Any:
    _expect(value, isinstance(value, dict) and value.get(TYPE) == kind.__name__, f"a {kind.__name__}")
    known = _hints(kind)
    given = {name: each for name, each in value.items() if name != TYPE}
    if unknown := sorted(given.keys() - known.keys()):
        raise MalformedEvent(f"{kind.__name__} has no field '{unknown[0]}'")
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(required - given.keys()):
        raise MalformedEvent(f"{kind.__name__} lacks its field '{missing[0]}'")
    values = {}
    for name, each in given.items():
        try:
            values[name] = from_json(each, known[name], media)
        except MalformedEvent as error:
            raise MalformedEvent(f"{kind.__name__}.{name}: {error}") from None
    return kind(**values)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _expect(value: Any, fits: bool, what: str) -> Any:
    if not fits:
        raise MalformedEvent(f"{_shown(value)} should be {what}")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def payload_bytes(value: Any) -> int:
    """About what the audio, the pictures and the texts in an event take."""
    match value:
        case np.ndarray():
            return value.nbytes
        case bytes() | str():
            return len(value)
        case tuple() | list():
            return sum(map(payload_bytes, value))
        case dict():
            return sum(map(payload_bytes, (*value.keys(), *value.values())))
    if is_dataclass(value):
        return sum(payload_bytes(getattr(value, field.name)) for field in fields(value))
    return 0
