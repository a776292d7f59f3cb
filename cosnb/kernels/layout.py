"""Inputs that the compiled loops accept: four number formats, and elements that fill their memory in its order."""

import torch
from torch import Tensor

FORMATS = frozenset({torch.float64, torch.float32, torch.float16, torch.bfloat16})


def refusal(input: object) -> str:
    """Return what is expected in place of an input that is no tensor of one of the FORMATS, what it is, what to do."""
    if not isinstance(input, Tensor):
        given = type(input).__name__
        how = "torch.from_numpy(array)" if given == "ndarray" else "torch.tensor(0.5) for the number 0.5"
        return f"a tensor, got {given}: write {how}"
    if (
        input.is_floating_point()
    ):  # of 8 bits or fewer, in which PyTorch stores numbers and computes nothing elementwise
        return f"16 bits or more, got {input.dtype}: convert it with .bfloat16()"
    hint = "take its .real, .imag or .abs()" if input.is_complex() else "convert it with .float()"
    return f"a floating-point tensor, got {input.dtype}: {hint}"


def dense(x: Tensor) -> Tensor:
    """Return x itself where its elements fill its memory in some order, else a copy in that order that does.

    The copy has the strides of `empty_like(x)`, which fake tensors say that the result has.
    """
    return x if x.is_contiguous() or _fills_its_memory(x) else torch.empty_like(x).copy_(x)


def matching(dy: Tensor, x: Tensor) -> Tensor:
    """Return dy with x's dtype, shape and strides; dy itself where it has them."""
    if dy.dtype == x.dtype and dy.shape == x.shape and dy.stride() == x.stride():
        return dy
    dy = dy.to(x.dtype).expand(x.shape)
    return dy if dy.stride() == x.stride() else torch.empty_like(x).copy_(dy)


def rows(dy: Tensor, x: Tensor) -> tuple[int, int] | None:
    """Return (columns, stride) where dy, in the order of x's memory, is rows of `columns` adjacent elements.

    Rows lie `stride` elements apart: the gradient of a concatenation's part, for instance. None for other layouts, and
    for rows shorter than 16, where the loop over rows costs more than a copy. `x` fills its memory.
    """
    if dy.stride() == x.stride():
        return x.numel(), x.numel()
    order = sorted((d for d in range(x.dim()) if x.shape[d] > 1), key=x.stride, reverse=True)
    columns, end = 1, len(order)
    while end and dy.stride(order[end - 1]) == columns:
        columns *= x.shape[order[end - 1]]
        end -= 1
    if end == 0:
        return x.numel(), x.numel()
    stride = step = dy.stride(order[end - 1])
    for d in reversed(order[:end]):
        if dy.stride(d) != step:
            return None
        step *= x.shape[d]
    return (columns, stride) if columns >= 16 and stride >= columns else None


def _fills_its_memory(x: Tensor) -> bool:
    """Say whether x is a permuted contiguous tensor; PyTorch's own test for that has changed its name in 2.13."""
    expected = 1
    for stride, size in sorted((stride, size) for stride, size in zip(x.stride(), x.shape, strict=True) if size > 1):
        if stride != expected:
            return False
        expected *= size
    return True
