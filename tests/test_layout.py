"""Gradients of every layout: rows of a concatenation are read in place, others copied; the result is the same."""

import pytest
import torch
from torch import Tensor

from cosnb.activations import activation
from cosnb.kernels import cpu
from cosnb.kernels.layout import rows

SHAPES = ((2, 64, 8, 8), (1, 17, 5, 3), (4, 32, 1, 1), (3, 128, 20, 21), (2, 16, 1, 7))


def gradients(x: Tensor, memory_format: torch.memory_format) -> dict[str, Tensor]:
    n, c, h, w = x.shape
    twice = torch.randn(n, 2 * c, h, w, dtype=x.dtype).contiguous(memory_format=memory_format)
    channels = torch.randn(c, dtype=x.dtype).view(1, c, 1, 1)
    return {
        "first half of a concatenation": twice[:, :c],
        "second half": twice[:, c:],
        "every second channel": twice[:, ::2],
        "transposed": torch.randn(n, c, w, h, dtype=x.dtype).transpose(2, 3),
        "one a channel": channels.expand(n, c, h, w),
        "one a plane": torch.randn(n, c, 1, 1, dtype=x.dtype).expand(n, c, h, w),
        "one number": torch.tensor(1.0, dtype=x.dtype).expand(n, c, h, w),
    }


@pytest.mark.skipif(cpu.compiler() is None, reason="no C compiler")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_a_gradient_of_any_layout_gives_what_its_copy_gives(
    memory_format: torch.memory_format, dtype: torch.dtype
) -> None:
    library = activation("cos").kernel(0).native()
    torch.manual_seed(0)
    for shape in SHAPES:
        x = torch.randn(shape, dtype=dtype).contiguous(memory_format=memory_format)
        for name, dy in gradients(x, memory_format).items():
            dx = library.backward(dy, x)
            assert torch.equal(dx, library.backward(torch.empty_like(x).copy_(dy), x)), (shape, name)
            assert dx.stride() == x.stride()


def test_parts_of_a_concatenation_are_rows() -> None:
    x = torch.empty(2, 64, 8, 8).contiguous(memory_format=torch.channels_last)
    whole = torch.empty(2, 160, 8, 8).contiguous(memory_format=torch.channels_last)
    assert rows(whole[:, 96:], x) == (64, 160)
    assert rows(torch.empty(2, 160, 8, 8)[:, 96:], torch.empty(2, 64, 8, 8)) == (4096, 10240)
    assert rows(torch.empty_like(x), x) == (x.numel(), x.numel())
    assert rows(torch.empty(2, 64, 8, 8), x) is None
