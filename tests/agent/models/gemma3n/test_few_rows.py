from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hearsight.agent.models.gemma3n.few_rows import MAX_ROWS, FewRowsLinear, use_few_rows


def layer(inputs: int, outputs: int, *, bias: bool = False, dtype: torch.dtype = torch.bfloat16) -> nn.Linear:
    torch.manual_seed(inputs * 1000 + outputs)
    return nn.Linear(inputs, outputs, bias=bias, dtype=dtype)


@torch.inference_mode()
@given(
    shape=st.lists(st.integers(0, 5), max_size=3),
    inputs=st.integers(1, 48),
    outputs=st.integers(1, 48),
)
def test_it_computes_what_a_linear_layer_computes(shape: list[int], inputs: int, outputs: int) -> None:
    plain = layer(inputs, outputs)
    x = torch.randn(*shape, inputs, dtype=torch.bfloat16)
    exact = x.double() @ plain.weight.double().T
    quick = nn.Sequential(layer(inputs, outputs))
    quick[0].load_state_dict(plain.state_dict())
    use_few_rows(quick)
    actual = quick(x)
    assert actual.shape == exact.shape and actual.dtype is torch.bfloat16
    # One rounding to 8 bits of mantissa, and none before it.
    torch.testing.assert_close(actual.double(), exact, rtol=2**-8, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("rows", [1, 2, MAX_ROWS, MAX_ROWS + 1, 300])
def test_the_result_lies_in_order_whatever_the_rows(rows: int) -> None:
    quick = nn.Sequential(layer(32, 24))
    use_few_rows(quick)
    assert quick(torch.randn(1, rows, 32, dtype=torch.bfloat16)).is_contiguous()


def test_only_layers_are_taken_for_which_it_pays() -> None:
    kept = [layer(4, 4, bias=True), layer(4, 4, dtype=torch.float32), nn.Conv1d(4, 4, 1)]
    model = nn.Sequential(layer(4, 4), *kept)
    use_few_rows(model)
    assert [type(module) is FewRowsLinear for module in model] == [True, False, False, False]
    use_few_rows(model, wanted=False)
    assert [type(module) for module in model] == [nn.Linear, nn.Linear, nn.Linear, nn.Conv1d]


def test_layers_on_another_device_are_left_alone() -> None:
    model = nn.Sequential(layer(4, 4).to("meta"))
    use_few_rows(model)
    assert type(model[0]) is nn.Linear
