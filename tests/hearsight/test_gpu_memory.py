"""The memory of GPUs, as a metric where there are any."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from hearsight.gpu_memory import GpuMemory

GIB = 1024**3


def torch_like(*, available=True, initialized=True, devices=2):
    return SimpleNamespace(
        cuda=SimpleNamespace(
            is_available=lambda: available,
            is_initialized=lambda: initialized,
            device_count=lambda: devices,
            mem_get_info=lambda device: ((10 + device) * GIB, 80 * GIB),
            memory_allocated=lambda device: 50 * GIB,
            memory_reserved=lambda device: 60 * GIB,
        )
    )


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    registry.register(GpuMemory())
    return registry


def test_every_gpu_is_told_of(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", torch_like())

    def value(device: int, kind: str) -> float | None:
        labels = {"device": str(device), "kind": kind}
        return registry.get_sample_value("hearsight_gpu_memory_bytes", labels)

    assert [value(0, kind) for kind in ("allocated", "reserved", "free", "total")] == [
        50 * GIB,
        60 * GIB,
        10 * GIB,
        80 * GIB,
    ]
    assert value(1, "free") == 11 * GIB and value(2, "free") is None


@pytest.mark.parametrize(
    "torch",
    [None, torch_like(available=False), torch_like(initialized=False)],
    ids=["none", "no GPU", "unused"],
)
def test_where_no_engine_uses_one_there_is_no_such_metric(registry, monkeypatch, torch):
    """It is neither imported nor woken up for this: that alone would take memory."""
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert b"hearsight_gpu_memory" not in generate_latest(registry)


@pytest.mark.gpu
def test_a_real_gpu(registry):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    held = torch.zeros(GIB // 4, device="cuda")
    labels = {"device": "0", "kind": "allocated"}
    assert registry.get_sample_value("hearsight_gpu_memory_bytes", labels) >= held.nbytes
