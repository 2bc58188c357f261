"""TensorFlow.js graph models: a graph in JSON, and its weights in binary shards beside it.

The format is that of the TensorFlow.js converter (``tfjs-converter/README.md`` in tensorflow/tfjs): the
graph is a TensorFlow ``GraphDef`` in protobuf's JSON, and ``weightsManifest`` says how the shards, read one
after the other, are cut into tensors.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.generic]

_DTYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "<u1", "uint16": "<u2", "bool": "?"}


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the graph."""

    name: str
    """Also the name of its first output."""
    op: str
    """TensorFlow's name of the operation, such as ``Conv2D``."""
    inputs: tuple[str, ...]
    """Names of the nodes whose values it takes, in order."""
    attributes: Mapping[str, Any]
    """As in the JSON form of ``AttrValue``."""

    def integers(self, attribute: str) -> tuple[int, ...]:
        """A list of integers; empty where it is not set."""
        return tuple(int(number) for number in self._value(attribute, "list").get("i", ()))

    def text(self, attribute: str, default: str) -> str:
        """A string; the converter writes it as a list of character codes."""
        codes = self._value(attribute, "s")
        return bytes(codes).decode() if codes else default

    def number(self, attribute: str) -> float:
        """A float; zero where it is not set."""
        return float(self._value(attribute, "f") or 0.0)

    def _value(self, attribute: str, kind: str) -> Any:
        return self.attributes.get(attribute, {}).get(kind) or {}


@dataclass(frozen=True, slots=True)
class Graph:
    """A graph and its constants."""

    nodes: Mapping[str, Node]
    weights: Mapping[str, Tensor]
    """The values of the ``Const`` nodes, by name."""

    def between(self, inputs: Collection[str], outputs: Sequence[str]) -> list[Node]:
        """The nodes that it takes to get from some values to others, each after those it depends on.

        Args:
            inputs: Names of the values that are given; what comes before them is left out.
            outputs: Names of the values that are wanted.

        Raises:
            ValueError: A node is missing, or the nodes depend on each other in a circle.
        """
        needed: dict[str, tuple[str, ...]] = {}
        pending = list(outputs)
        while pending:
            name = pending.pop()
            if name in needed or name in inputs:
                continue
            if name not in self.nodes:
                raise ValueError(f"the graph has no node {name!r}")
            needed[name] = self.nodes[name].inputs
            pending.extend(needed[name])
        try:
            order = list(TopologicalSorter(needed).static_order())
        except CycleError as error:
            raise ValueError(f"the graph runs in a circle at {error.args[1][0]!r}") from error
        return [self.nodes[name] for name in order if name not in inputs]


def read_graph(folder: Path) -> Graph:
    """Read ``model.json`` and the shards that it names.

    Raises:
        OSError: A file is missing or cannot be read.
        ValueError: A file is not what it should be.
    """
    model = json.loads((folder / "model.json").read_bytes())
    try:
        nodes = [
            Node(
                entry["name"],
                entry["op"],
                tuple(_node_name(name) for name in entry.get("input", ()) if not name.startswith("^")),
                entry.get("attr", {}),
            )
            for entry in model["modelTopology"]["node"]
        ]
        weights: dict[str, Tensor] = {}
        for group in model["weightsManifest"]:
            data = b"".join((folder / Path(shard).name).read_bytes() for shard in group["paths"])
            weights |= cut_weights(data, group["weights"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("model.json is no TensorFlow.js graph model") from error
    return Graph({node.name: node for node in nodes}, weights)


def cut_weights(data: bytes, manifest: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Cut a group's bytes into its tensors, undoing their quantisation.

    Args:
        data: All shards of the group, one after the other.
        manifest: Per tensor, in the order of the bytes: ``name``, ``shape``, ``dtype``, and where it is
            quantised ``quantization`` with the stored ``dtype`` and, for integers, ``scale`` and ``min``.

    Raises:
        ValueError: There are fewer or more bytes than the tensors take, or a number format is unknown.
    """
    tensors: dict[str, Tensor] = {}
    offset = 0
    for entry in manifest:
        quantization = entry.get("quantization", {})
        stored = _dtype(quantization.get("dtype", entry["dtype"]))
        count = prod(entry["shape"])
        end = offset + count * stored.itemsize
        if end > len(data):
            raise ValueError(f"the weights end within {entry['name']!r}")
        values = np.frombuffer(data, stored, count, offset).reshape(entry["shape"])
        if "scale" in quantization:
            values = values * np.float32(quantization["scale"]) + np.float32(quantization["min"])
        tensors[entry["name"]] = values.astype(_dtype(entry["dtype"]), copy=False)
        offset = end
    if offset != len(data):
        raise ValueError(f"{len(data) - offset} bytes of weights belong to no tensor")
    return tensors


def _dtype(name: str) -> np.dtype[Any]:
    if name not in _DTYPES:
        raise ValueError(f"weights of type {name!r} are not supported")
    return np.dtype(_DTYPES[name])


def _node_name(reference: str) -> str:
    """The node in a reference such as ``split:1``, of which only first outputs are used here."""
    name, _, output = reference.partition(":")
    return name if output in ("", "0") else reference
