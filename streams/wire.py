"""Reads what a client sent, in whichever protocol, and says of anything wrong which field it is in.

Nothing here knows any event; it turns bytes into checked models and pydantic's findings into one sentence.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from hearsight.streams.errors import InvalidEvent

M = TypeVar("M", bound=BaseModel)

_CODES = {
    "missing": "missing_required_parameter",
    "extra_forbidden": "unknown_parameter",
    "string_type": "invalid_type",
    "int_type": "invalid_type",
    "float_type": "invalid_type",
    "bool_type": "invalid_type",
    "list_type": "invalid_type",
    "dict_type": "invalid_type",
    "model_type": "invalid_type",
    "model_attributes_type": "invalid_type",
}


class Wire(BaseModel):
    """Base of everything that is read from the wire: no unknown fields, no coercion between types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def read_object(message: str | bytes) -> dict[str, Any]:
    """Read one message as a JSON object, whether it came in a text or a binary frame.

    Raises:
        InvalidEvent: It is not UTF-8, not JSON, not an object, or holds half a surrogate pair.
    """
    try:
        text = message if isinstance(message, str) else message.decode()
        value = json.loads(text, parse_constant=_no_constant)
        if "\\ud" in text or "\\uD" in text:
            # JSON can escape half a surrogate pair, which no encoder or tokenizer after us could take.
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        raise InvalidEvent("The message is not valid Unicode text.", code="invalid_json") from None
    except RecursionError:
        raise InvalidEvent("The message is nested too deeply.", code="invalid_json") from None
    except ValueError as error:
        raise InvalidEvent(f"The message is not valid JSON: {error}.", code="invalid_json") from None
    if not isinstance(value, dict):
        raise InvalidEvent("The message must be a JSON object.", code="invalid_json")
    return value


def read_base64(text: object, param: str) -> bytes:
    """Decode standard, padded base64.

    Args:
        text: What stands in the field.
        param: Name of the field, for the error.

    Raises:
        InvalidEvent: It is missing, not a string or not base64.
    """
    if not isinstance(text, str):
        _refuse_type(text, param)
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise InvalidEvent(f"The field {param!r} is not valid base64.", param=param) from None


def validate(
    model: type[M], data: dict[str, Any], prefix: str = "", *, hint: Callable[[str], str] | None = None
) -> M:
    """Check ``data`` against a model.

    Args:
        model: What it should be.
        data: What it is.
        prefix: Path of ``data`` inside the event, such as ``session``.
        hint: Something to add about an unknown field, given its path inside ``data``.

    Raises:
        InvalidEvent: Naming the first field at fault in ``param``.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explain(error, data, prefix, hint) from None


def _explain(
    error: ValidationError, data: dict[str, Any], prefix: str, hint: Callable[[str], str] | None
) -> InvalidEvent:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    kind = first["type"]
    path = field_path(first["loc"], data, missing=kind == "missing")
    if kind.startswith("union_tag"):
        path = f"{path}.type" if path else "type"
    param = f"{prefix}.{path}" if prefix and path else prefix or path
    if kind == "missing":
        message = f"The field {param!r} is missing."
    elif kind == "extra_forbidden":
        message = f"The field {param!r} is not known{hint(path) if hint else ''}."
    else:
        reason = first["msg"].removeprefix("Value error, ")
        message = f"The field {param!r} is not valid: {reason[:1].lower()}{reason[1:]}."
    return InvalidEvent(message, code=_CODES.get(kind), param=param or None)


def field_path(location: tuple[int | str, ...], data: object, *, missing: bool = False) -> str:
    """Write pydantic's location as a client knows it: ``audio.input.format.rate``, ``content[0].text``.

    Pydantic names the chosen branch of a union inside the location; a client never wrote that, so whatever
    ``data`` does not hold is left out, except a missing field at the end.
    """
    path = ""
    last = len(location) - 1
    for index, part in enumerate(location):
        if isinstance(part, int) and isinstance(data, list) and part < len(data):
            path, data = f"{path}[{part}]", data[part]
        elif isinstance(part, str) and isinstance(data, dict) and part in data:
            path, data = f"{path}.{part}" if path else part, data[part]
        elif missing and index == last:
            path = f"{path}.{part}" if path else str(part)
    return path


def _refuse_type(value: object, param: str) -> NoReturn:
    if value is None:
        raise InvalidEvent(f"The field {param!r} is missing.", code="missing_required_parameter", param=param)
    raise InvalidEvent(f"The field {param!r} must be a string.", code="invalid_type", param=param)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
