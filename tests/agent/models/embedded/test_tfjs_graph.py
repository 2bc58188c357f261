from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from hearsight.agent.models.embedded.tfjs_graph import Graph, Node, Tensor, cut_weights, read_graph


def node(name: str, *inputs: str, op: str = "Add") -> Node:
    return Node(name, op, inputs, {})


def graph(*nodes: Node) -> Graph:
    return Graph({each.name: each for each in nodes}, {})


def manifest(name: str, values: Tensor, **quantization: Any) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "shape": list(values.shape), "dtype": values.dtype.name}
    return entry | ({"quantization": quantization} if quantization else {})


FLOATS = arrays(np.float32, array_shapes(max_dims=4, max_side=5), elements=st.floats(-100, 100, width=32))


@given(st.lists(FLOATS, max_size=5), st.lists(arrays(np.int32, array_shapes(max_dims=2)), max_size=3))
def test_tensors_come_back_as_they_were_stored(floats: list[Tensor], integers: list[Tensor]) -> None:
    stored = {f"tensor/{index}": values for index, values in enumerate([*floats, *integers])}
    data = b"".join(values.tobytes() for values in stored.values())
    cut = cut_weights(data, [manifest(name, values) for name, values in stored.items()])
    assert list(cut) == list(stored)
    for name, values in stored.items():
        assert cut[name].dtype == values.dtype
        np.testing.assert_array_equal(cut[name], values)


@given(FLOATS, st.sampled_from(["uint8", "uint16"]))
def test_quantised_tensors_come_back_within_half_a_step(values: Tensor, dtype: str) -> None:
    levels = np.iinfo(dtype).max
    low, high = float(values.min()), float(values.max())
    scale = (high - low) / levels or 1.0
    codes = np.round((values.astype(np.float64) - low) / scale).astype(dtype)
    [restored] = cut_weights(
        codes.tobytes(), [manifest("w", values, dtype=dtype, scale=scale, min=low)]
    ).values()
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, values, atol=scale / 2 + 1e-4)


@given(arrays(np.float16, (3, 2), elements=st.floats(-100, 100, width=16)))
def test_half_floats_are_widened(values: Tensor) -> None:
    entry = manifest("w", values.astype(np.float32), dtype="float16")
    [restored] = cut_weights(values.tobytes(), [entry]).values()
    assert restored.dtype == np.float32
    np.testing.assert_array_equal(restored, values.astype(np.float32))


def test_a_scalar_is_one_number() -> None:
    [value] = cut_weights(np.float32(0.1).tobytes(), [manifest("w", np.float32(0.1).reshape(()))]).values()
    assert value.shape == ()


@pytest.mark.parametrize(
    ("data", "dtype", "told"),
    [
        (bytes(7), "float32", "the weights end within 'w'"),
        (bytes(9), "float32", "1 bytes of weights belong to no tensor"),
        (bytes(8), "complex64", "weights of type 'complex64' are not supported"),
    ],
)
def test_weights_that_do_not_fit_are_refused(data: bytes, dtype: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        cut_weights(data, [{"name": "w", "shape": [2], "dtype": dtype}])


def test_only_what_lies_between_is_taken_in_an_order_that_works() -> None:
    whole = graph(
        node("picture"), node("resized", "picture"), node("a", "resized"), node("b", "a", "weights"),
        node("weights", op="Const"), node("out", "b", "a"), node("after", "out"),
    )  # fmt: skip
    names = [each.name for each in whole.between({"resized"}, ["out"])]
    assert sorted(names) == ["a", "b", "out", "weights"]
    assert names.index("a") < names.index("b") < names.index("out")
    assert names.index("weights") < names.index("b")


@given(st.integers(2, 60), st.randoms(use_true_random=False))
def test_inputs_come_before_what_uses_them(size: int, random: Any) -> None:
    nodes = [
        node(str(index), *{str(random.randrange(index)) for _ in range(min(index, 3))})
        for index in range(size)
    ]
    random.shuffle(nodes)
    order = graph(*nodes).between((), [str(size - 1)])
    seen: set[str] = set()
    for each in order:
        assert set(each.inputs) <= seen
        seen.add(each.name)


def test_a_very_deep_graph_is_no_problem() -> None:
    chain = [node("0"), *(node(str(index), str(index - 1)) for index in range(1, 5000))]
    assert len(graph(*chain).between((), ["4999"])) == 5000


def test_what_is_missing_or_circular_is_named() -> None:
    with pytest.raises(ValueError, match="no node 'lost'"):
        graph(node("out", "lost")).between((), ["out"])
    with pytest.raises(ValueError, match="runs in a circle"):
        graph(node("a", "b"), node("b", "a")).between((), ["a"])


def write_model(folder: Path, model: Any, **shards: bytes) -> None:
    (folder / "model.json").write_text(json.dumps(model))
    for name, data in shards.items():
        (folder / name).write_bytes(data)


def test_a_model_is_read_from_its_files(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32)
    attributes = {
        "padding": {"s": [83, 65, 77, 69]},
        "strides": {"list": {"i": ["1", "2", "2", "1"]}},
        "epsilon": {"f": 0.001},
    }
    nodes = [
        {"name": "w", "op": "Const"},
        {"name": "conv", "op": "Conv2D", "input": ["in:0", "split:1", "w", "^guard"], "attr": attributes},
    ]
    data = values.tobytes()
    write_model(
        tmp_path,
        {
            "modelTopology": {"node": nodes},
            "weightsManifest": [{"paths": ["one", "two"], "weights": [manifest("w", values)]}],
        },
        one=data[:10],  # a tensor may lie across shards
        two=data[10:],
    )
    read = read_graph(tmp_path)
    conv = read.nodes["conv"]
    assert (conv.op, conv.inputs) == ("Conv2D", ("in", "split:1", "w"))
    assert conv.text("padding", "VALID") == "SAME"
    assert conv.text("data_format", "NHWC") == "NHWC"
    assert conv.integers("strides") == (1, 2, 2, 1)
    assert conv.integers("dilations") == ()
    assert conv.number("epsilon") == 0.001
    assert conv.number("momentum") == 0.0
    np.testing.assert_array_equal(read.weights["w"], values)


def test_a_shard_outside_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(4))
    folder = tmp_path / "model"
    folder.mkdir()
    weights = [{"name": "w", "shape": [1], "dtype": "float32"}]
    write_model(
        folder,
        {"modelTopology": {"node": []}, "weightsManifest": [{"paths": ["../secret"], "weights": weights}]},
    )
    with pytest.raises(FileNotFoundError):
        read_graph(folder)


@pytest.mark.parametrize(
    "model", [{}, [], {"modelTopology": {"node": [{}]}}, {"modelTopology": {"node": [7]}}]
)
def test_another_json_is_refused(tmp_path: Path, model: Any) -> None:
    write_model(tmp_path, model)
    with pytest.raises(ValueError, match="no TensorFlow.js graph model"):
        read_graph(tmp_path)


def test_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_bytes(b"{")
    with pytest.raises(ValueError):
        read_graph(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_graph(tmp_path / "nowhere")
