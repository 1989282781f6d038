"""Mirrors dlref/_precision.py."""

import pytest
import torch

from dlref._precision import autocast, in_single

HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_tensors_become_what_autocast_asks_for(dtype):
    x, y, wide = torch.ones(2), torch.ones(2, dtype=HALVES[dtype == HALVES[0]]), torch.ones(2, dtype=torch.float64)
    assert autocast(x, None, y)[0] is x
    with torch.autocast("cpu", dtype):
        assert [t if t is None else t.dtype for t in autocast(None, x, y, wide, torch.tensor([1]))] == [
            None, dtype, dtype, torch.float64, torch.int64,
        ]  # fmt: skip
        with torch.autocast("cpu", enabled=False):
            assert autocast(x)[0] is x
        assert autocast(torch.ones(2, device="meta"))[0].dtype == torch.float32


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_half_precision_is_computed_in_single_and_rounded_once(dtype):
    seen = []

    def operation(x, y, *, plus):
        seen.append((x.dtype, None if y is None else y.dtype, torch.is_autocast_enabled("cpu")))
        return x @ x + plus

    x = torch.tensor([[300.0, 1.0], [1.0, 2.0]], dtype=dtype)
    found = in_single(operation, x, None, plus=1.0)
    assert found.dtype == dtype
    assert torch.equal(found, (x.float() @ x.float() + 1).to(dtype))
    assert in_single(operation, x.double(), x.double(), plus=0.0).dtype == torch.float64
    with torch.autocast("cpu", torch.bfloat16):
        assert in_single(operation, x.float(), x, plus=0.0).dtype == torch.float32
        assert torch.is_autocast_enabled("cpu")
    assert seen == [
        (torch.float32, None, False), (torch.float64, torch.float64, False), (torch.float32, dtype, False),
    ]  # fmt: skip


def test_of_several_results_the_first_is_rounded():
    x = torch.tensor([1.0], dtype=torch.float16)
    first, second = in_single(lambda x: (x, 2 * x), x)
    assert first.item() == 1
    assert (first.dtype, second.dtype) == (torch.float16, torch.float32)
    assert in_single(lambda x: (x, 3), torch.ones(1))[1] == 3
    assert in_single(lambda x: x, torch.ones(1, device="meta")).is_meta
