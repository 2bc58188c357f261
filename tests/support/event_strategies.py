"""Every event there can be, made from the types of its fields."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from hypothesis import strategies as st

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
_samples = st.lists(st.integers(-32_768, 32_767), max_size=8).map(lambda values: np.array(values, np.int16))
_PLAIN = {
    str: st.text(max_size=8),
    bytes: st.binary(max_size=8),
    int: st.integers(-(2**53), 2**53),
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    NoneType: st.none(),
    Any: _json,
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type."""
    kind = get_origin(hint) or hint
    if kind in (Union, UnionType):
        return st.one_of([values(each) for each in get_args(hint)])
    if kind is Literal:
        return st.sampled_from(get_args(hint))
    if kind is tuple:
        return st.lists(st.deferred(lambda: values(get_args(hint)[0])), max_size=3).map(tuple)
    if kind is dict:
        return st.dictionaries(st.text(max_size=5), values(get_args(hint)[1]), max_size=3)
    if kind is np.ndarray:
        return _samples
    if is_dataclass(kind):
        return _instances(kind)
    return _PLAIN[kind]


def _instances(kind: type) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    required, optional = {}, {}
    for field in fields(kind):
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        (optional if has_default else required)[field.name] = values(hints[field.name])
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: kind(**given))
