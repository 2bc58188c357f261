"""Convolutional networks from TensorFlow to ONNX.

TensorFlow keeps channels last (NHWC) and ONNX first (NCHW). Pictures and feature maps are turned over once
where they come in, convolutions and everything element by element stay in ONNX's order, and a value is turned
back only where an operation depends on the order (reshaping, joining) or where it comes out. So inputs and
outputs have the shapes that they have in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hearsight.agent.models.embedded.extra import import_from_extra
from hearsight.agent.models.embedded.tfjs_graph import Graph, Node, Tensor

OPSET: Final = 13
IR_VERSION: Final = 8
"""What goes with that opset; every onnxruntime that the project allows reads both."""

_TO_FIRST: Final = (0, 3, 1, 2)
_TO_LAST: Final = (0, 2, 3, 1)
_COPY: Final = 0
"""In the target of ONNX's Reshape: this dimension is as long as the input's."""


def to_onnx(graph: Graph, inputs: Mapping[str, Sequence[int]], outputs: Sequence[str]) -> bytes:
    """Write the part of a graph between some values and others as an ONNX model.

    Args:
        graph: A TensorFlow graph.
        inputs: Names and shapes, batch first, of the float32 values that are fed.
        outputs: Names of the values that are fetched.

    Returns:
        A serialised ``ModelProto`` whose inputs and outputs bear the same names.

    Raises:
        EngineError: The onnx package is not installed.
        ValueError: The graph holds an operation that is not known here.
    """
    translation = _Translation(graph)
    for name, shape in inputs.items():
        translation.feed(name, shape)
    for node in graph.between(inputs, outputs):
        translation.add(node)
    for name in outputs:
        translation.fetch(name)
    return translation.serialised()


class _Translation:
    """An ONNX graph in the making."""

    def __init__(self, graph: Graph) -> None:
        self._onnx: Any = import_from_extra("onnx", "Recognising objects")
        self._graph = graph
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._values: dict[str, str] = {}
        """TensorFlow's names to those of the values that stand for them."""
        self._channels_first: set[str] = set()
        """The values, by their names here, that are feature maps in ONNX's order."""

    def feed(self, name: str, shape: Sequence[int]) -> None:
        helper = self._onnx.helper
        self._inputs.append(helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, list(shape)))
        self._values[name] = self._to_first(name) if len(shape) == 4 else name

    def fetch(self, name: str) -> None:
        value = self._channels_last(name)
        self._nodes.append(self._onnx.helper.make_node("Identity", [value], [name]))
        self._outputs.append(
            self._onnx.helper.make_tensor_value_info(name, self._onnx.TensorProto.FLOAT, None)
        )

    def add(self, node: Node) -> None:
        if node.op in _UNFOLDED:
            return
        rule = _RULES.get(node.op)
        if rule is None:
            raise ValueError(f"the operation {node.op!r} of {node.name!r} is not supported")
        self._values[node.name] = rule(self, node)

    def serialised(self) -> bytes:
        helper = self._onnx.helper
        graph = helper.make_graph(
            self._nodes, "graph", self._inputs, self._outputs, initializer=self._constants
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        return bytes(model.SerializeToString())

    # What the operations become; each returns the name of its value.

    def convolution(self, node: Node) -> str:
        kernel = self._weight(node.inputs[1])
        return self._convolve(node, kernel.transpose(3, 2, 0, 1), groups=1)

    def depthwise_convolution(self, node: Node) -> str:
        kernel = self._weight(node.inputs[1])
        height, width, channels, multiplier = kernel.shape
        stacked = kernel.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
        return self._convolve(node, stacked, groups=channels)

    def batch_norm(self, node: Node) -> str:
        statistics = [self._constant(self._weight(name)) for name in node.inputs[1:]]
        value = [self._value(node.inputs[0]), *statistics]
        return self._emit("BatchNormalization", value, first=True, epsilon=node.number("epsilon"))

    def elementwise(self, node: Node) -> str:
        """Arithmetic of any number of operands; a vector of constants lies along the channels."""
        first = any(self._values.get(name) in self._channels_first for name in node.inputs)
        operands = [self._operand(name, first) for name in node.inputs]
        return self._emit(_ELEMENTWISE[node.op], operands, first=first)

    def relu6(self, node: Node) -> str:
        value = self._value(node.inputs[0])
        bounds = [self._constant(np.float32(bound)) for bound in (0, 6)]
        return self._emit("Clip", [value, *bounds], first=value in self._channels_first)

    def reshape(self, node: Node) -> str:
        target = self._constant(np.asarray(self._target_shape(node.inputs[1]), dtype=np.int64))
        return self._emit("Reshape", [self._channels_last(node.inputs[0]), target])

    def concat(self, node: Node) -> str:
        *parts, axis = node.inputs
        values = [self._channels_last(name) for name in parts]
        return self._emit("Concat", values, axis=int(self._weight(axis)))

    def squeeze(self, node: Node) -> str:
        axes = self._constant(np.asarray(node.integers("squeeze_dims"), dtype=np.int64))
        return self._emit("Squeeze", [self._channels_last(node.inputs[0]), axes])

    # What they are made of.

    def _convolve(self, node: Node, kernel: Tensor, *, groups: int) -> str:
        if node.text("data_format", "NHWC") != "NHWC":
            raise ValueError(f"{node.name!r} does not keep channels last")
        return self._emit(
            "Conv",
            [self._value(node.inputs[0]), self._constant(kernel)],
            first=True,
            auto_pad="SAME_UPPER" if node.text("padding", "VALID") == "SAME" else "VALID",
            strides=node.integers("strides")[1:3] or (1, 1),
            dilations=node.integers("dilations")[1:3] or (1, 1),
            group=groups,
        )

    def _target_shape(self, name: str) -> list[int]:
        """A shape that is a constant, or put together from numbers after a batch size that is not."""
        if name in self._graph.weights:
            return [int(size) for size in np.atleast_1d(self._weight(name))]
        sizes = self._graph.nodes[name].inputs
        if any(size not in self._graph.weights for size in sizes[1:]):
            raise ValueError(f"the shape {name!r} depends on more than the batch size")
        return [_COPY if size not in self._graph.weights else int(self._weight(size)) for size in sizes]

    def _weight(self, name: str) -> NDArray[Any]:
        if name not in self._graph.weights:
            raise ValueError(f"{name!r} is not a constant")
        return self._graph.weights[name]

    def _value(self, name: str) -> str:
        if name not in self._values:
            raise ValueError(f"{name!r} has no value")
        return self._values[name]

    def _operand(self, name: str, first: bool) -> str:
        if name in self._values:
            return self._values[name]
        weight = self._weight(name)
        return self._constant(weight.reshape(-1, 1, 1) if first and weight.ndim == 1 else weight)

    def _channels_last(self, name: str) -> str:
        value = self._value(name)
        if value not in self._channels_first:
            return value
        return self._emit("Transpose", [value], perm=_TO_LAST)

    def _to_first(self, value: str) -> str:
        return self._emit("Transpose", [value], first=True, perm=_TO_FIRST)

    def _constant(self, value: Any) -> str:
        name = f"constant_{len(self._constants)}"
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def _emit(self, op: str, inputs: Sequence[str], *, first: bool = False, **attributes: Any) -> str:
        name = f"value_{len(self._nodes)}"
        self._nodes.append(self._onnx.helper.make_node(op, list(inputs), [name], **attributes))
        if first:
            self._channels_first.add(name)
        return name


_UNFOLDED: Final = frozenset({"Const", "Shape", "StridedSlice", "Pack"})
"""Constants, and the arithmetic of shapes; both are looked up by what uses them."""
_ELEMENTWISE: Final = {
    "Add": "Add", "AddV2": "Add", "AddN": "Sum", "BiasAdd": "Add", "Mul": "Mul", "Sub": "Sub",
    "Sigmoid": "Sigmoid",
}  # fmt: skip
_RULES: Final[Mapping[str, Callable[[_Translation, Node], str]]] = {
    "Conv2D": _Translation.convolution,
    "DepthwiseConv2dNative": _Translation.depthwise_convolution,
    "FusedBatchNorm": _Translation.batch_norm,
    "FusedBatchNormV3": _Translation.batch_norm,
    "Relu6": _Translation.relu6,
    "Reshape": _Translation.reshape,
    "ConcatV2": _Translation.concat,
    "Squeeze": _Translation.squeeze,
    **dict.fromkeys(_ELEMENTWISE, _Translation.elementwise),
}
