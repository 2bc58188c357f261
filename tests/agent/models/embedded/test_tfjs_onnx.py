"""Each operation against what TensorFlow defines it to be, computed the slow way in NHWC."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hearsight.agent.models.embedded.tfjs_graph import Graph, Node, Tensor
from hearsight.agent.models.embedded.tfjs_onnx import to_onnx
from hearsight.streams.errors import EngineError

Array = NDArray[np.float32]


def node(name: str, op: str, *inputs: str, **attributes: Any) -> Node:
    return Node(name, op, inputs, attributes)


def integers(*numbers: int) -> dict[str, Any]:
    return {"list": {"i": [str(number) for number in numbers]}}


def text(value: str) -> dict[str, Any]:
    return {"s": list(value.encode())}


def randoms(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def converted(nodes: list[Node], weights: dict[str, Tensor], shape: tuple[int, ...], out: str) -> bytes:
    constants = [node(name, "Const") for name in weights]
    return to_onnx(Graph({each.name: each for each in [*constants, *nodes]}, weights), {"x": shape}, [out])


def ran(nodes: list[Node], weights: dict[str, Tensor], x: Array, out: str = "y") -> Array:
    model = converted(nodes, weights, x.shape, out)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["x"]
    [result] = session.run([out], {"x": x})
    return np.asarray(result)


def padded(x: Array, kernel: int, stride: int, dilation: int) -> Array:
    """TensorFlow's SAME: as many outputs as strides begin, the odd row or column at the end."""
    widths = [(0, 0)]
    for side in x.shape[1:3]:
        total = max((-(-side // stride) - 1) * stride + (kernel - 1) * dilation + 1 - side, 0)
        widths.append((total // 2, total - total // 2))
    return np.pad(x, [*widths, (0, 0)])


def convolved(x: Array, kernel: Array, stride: int, dilation: int, same: bool, depthwise: bool) -> Array:
    size = kernel.shape[0]
    reach = (size - 1) * dilation + 1
    x = padded(x, size, stride, dilation) if same else x
    rows, columns = ((side - reach) // stride + 1 for side in x.shape[1:3])
    result = []
    for top in range(0, rows * stride, stride):
        for left in range(0, columns * stride, stride):
            window = x[:, top : top + reach : dilation, left : left + reach : dilation]
            if depthwise:
                product = np.einsum("bhwi,hwim->bim", window, kernel).reshape(len(x), -1)
            else:
                product = np.einsum("bhwi,hwio->bo", window, kernel)
            result.append(product)
    return np.stack(result, axis=1).reshape(len(x), rows, columns, -1)


@settings(max_examples=40, deadline=None)
@given(
    side=st.tuples(st.integers(5, 9), st.integers(5, 9)),
    channels=st.integers(1, 3),
    filters=st.integers(1, 4),
    size=st.sampled_from([1, 3]),
    stride=st.sampled_from([1, 2]),
    same=st.booleans(),
    depthwise=st.booleans(),
)
def test_convolutions(
    side: tuple[int, int], channels: int, filters: int, size: int, stride: int, same: bool, depthwise: bool
) -> None:
    x, kernel = randoms(1, *side, channels), randoms(size, size, channels, filters, seed=1)
    conv = node(
        "y", "DepthwiseConv2dNative" if depthwise else "Conv2D", "x", "kernel",
        strides=integers(1, stride, stride, 1), padding=text("SAME" if same else "VALID"),
        dilations=integers(1, 1, 1, 1), data_format=text("NHWC"),
    )  # fmt: skip
    expected = convolved(x, kernel, stride, 1, same, depthwise)
    np.testing.assert_allclose(ran([conv], {"kernel": kernel}, x), expected, atol=1e-4)


def test_dilated_convolution() -> None:
    x, kernel = randoms(1, 9, 8, 2), randoms(3, 3, 2, 4, seed=1)
    conv = node("y", "Conv2D", "x", "kernel", padding=text("VALID"), dilations=integers(1, 2, 2, 1))
    expected = convolved(x, kernel, 1, 2, same=False, depthwise=False)
    np.testing.assert_allclose(ran([conv], {"kernel": kernel}, x), expected, atol=1e-4)


def test_batch_norm() -> None:
    x = randoms(1, 4, 5, 3)
    gamma, beta, mean = (randoms(3, seed=seed) for seed in (1, 2, 3))
    variance = np.abs(randoms(3, seed=4)) + 0.1
    weights: dict[str, Tensor] = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    norm = node("y", "FusedBatchNorm", "x", *weights, epsilon={"f": 0.01})
    expected = gamma * (x - mean) / np.sqrt(variance + 0.01) + beta
    np.testing.assert_allclose(ran([norm], weights, x), expected, atol=1e-4)


def test_arithmetic_and_activations_along_the_channels() -> None:
    x, scale, bias = randoms(1, 4, 5, 3), randoms(3, seed=1), randoms(3, seed=2)
    weights: dict[str, Tensor] = {"scale": scale, "bias": bias, "half": np.float32(0.5).reshape(())}
    nodes = [
        node("scaled", "Mul", "x", "scale"),
        node("biased", "BiasAdd", "scaled", "bias"),
        node("halved", "Mul", "half", "biased"),
        node("less", "Sub", "halved", "half"),
        node("sum", "AddN", "less", "x", "biased"),
        node("y", "Relu6", "sum"),
    ]
    biased = x * scale + bias
    expected = np.clip(biased * 0.5 - 0.5 + x + biased, 0, 6)
    np.testing.assert_allclose(ran(nodes, weights, x), expected, atol=1e-5)


def test_heads_are_reshaped_and_joined_in_the_order_of_tensorflow() -> None:
    x = randoms(1, 4, 3, 6)
    weights: dict[str, Tensor] = {
        name: np.array(value, dtype=np.int32)
        for name, value in {"-1": -1, "1": 1, "2": 2, "axis": 1, "flat": [1, -1, 1, 2]}.items()
    }
    nodes = [
        node("shape", "Shape", "x"),
        node("batch", "StridedSlice", "shape", "axis", "axis", "axis"),
        node("target", "Pack", "batch", "-1", "1", "2"),
        node("one", "Reshape", "x", "target"),
        node("other", "Reshape", "x", "flat"),
        node("both", "ConcatV2", "one", "other", "axis"),
        node("squeezed", "Squeeze", "both", squeeze_dims=integers(2)),
        node("y", "Sigmoid", "squeezed"),
    ]
    rows = x.reshape(1, -1, 2)
    expected = 1 / (1 + np.exp(-np.concatenate([rows, rows], axis=1)))
    np.testing.assert_allclose(ran(nodes, weights, x), expected, atol=1e-6)


def test_feature_maps_are_joined_along_the_axis_that_tensorflow_means() -> None:
    x = randoms(1, 2, 3, 4)
    weights: dict[str, Tensor] = {"axis": np.array(3, dtype=np.int32), "two": np.float32(2).reshape(())}
    nodes = [node("double", "Mul", "x", "two"), node("y", "ConcatV2", "x", "double", "axis")]
    np.testing.assert_allclose(ran(nodes, weights, x), np.concatenate([x, 2 * x], axis=3))


def test_a_vector_is_fed_as_it_is() -> None:
    x, other = randoms(2, 5), randoms(5, seed=1)
    np.testing.assert_allclose(ran([node("y", "AddV2", "x", "other")], {"other": other}, x), x + other)


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([node("y", "Where", "x")], "the operation 'Where' of 'y' is not supported"),
        ([node("y", "Conv2D", "x", "x")], "'x' is not a constant"),
        ([node("y", "Conv2D", "x", "w", data_format=text("NCHW"))], "'y' does not keep channels last"),
        ([node("y", "Relu6", "w")], "'w' has no value"),
        (
            [node("s", "Shape", "x"), node("t", "Pack", "s", "s"), node("y", "Reshape", "x", "t")],
            "the shape 't' depends on more than the batch size",
        ),
    ],
)
def test_what_cannot_be_translated_is_named(nodes: list[Node], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        converted(nodes, {"w": randoms(1, 1, 2, 2)}, (1, 4, 4, 2), "y")


def test_a_missing_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EngineError, match="needs the embedded extra") as error:
        converted([node("y", "Relu6", "x")], {}, (1, 2, 2, 1), "y")
    assert error.value.code == "engine_unavailable"
