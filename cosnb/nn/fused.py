"""Batch normalisation and activation as one module that saves for backward only the input and a channel's statistics.

ReLU saves its output, which the next layer saves anyway; a smooth activation saves its input besides. That input is
x̂·weight + bias, one multiplication and one addition from what the normalisation saves, so backward computes it again:

    z = (x − mean)·invstd·weight + bias,  y = f(z);    dz = dy·f′(z),  dx = the normalisation's backward of dz.

On CUDA devices two Triton launches do so in each direction (cosnb.kernels.norm), elsewhere PyTorch's kernels around the
activation's.
"""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from cosnb.activations import Activation, ActivationModule
from cosnb.errors import CosnbError
from cosnb.kernels import norm, operators
from cosnb.kernels.torch_internals import BatchNorm, batch_norm_backward, is_dense, is_transformed
from cosnb.kernels.torch_internals import batch_norm as batch_norm_forward

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class _NormActivation(torch.autograd.Function):
    """f(batch_norm(x)), with PyTorch's own normalisation kernels around the activation's, or with Triton's for both."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        training: bool,
        momentum: float,
        eps: float,
        activation: Activation,
    ) -> Tensor:
        ctx.training, ctx.eps, ctx.activation = training, eps, activation
        ctx.by_triton = norm.applies(x, weight, bias, running_mean, running_var)
        if ctx.by_triton:
            y, mean, invstd = (
                activation.kernel(0).norm().forward(x, weight, bias, running_mean, running_var, training, momentum, eps)
            )
            ctx.save_for_backward(x, weight, bias, mean, invstd, None)
            return y
        z, mean, invstd, reserve, ctx.implementation = batch_norm_forward(
            x, weight, bias, running_mean, running_var, training, momentum, eps
        )
        if not training:  # a training step before backward may change the running statistics
            assert running_mean is not None
            assert running_var is not None
            mean, invstd = running_mean.clone(), running_var.clone()
        ctx.save_for_backward(x, weight, bias, mean, invstd, reserve)
        return operators.forward(z, activation.kernel(0))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled() or (ctx.by_triton and not is_dense(dy)):  # or it is a batch of gradients, say
            return *_general_backward(ctx, dy), *[None] * 6
        x, weight, bias, mean, scale, reserve = ctx.saved_tensors
        if ctx.by_triton:
            kernels = ctx.activation.kernel(0).norm()
            return *kernels.backward(dy, x, weight, bias, mean, scale, ctx.training), *[None] * 6
        # With the variance 1/invstd² and no eps, the kernel for evaluation computes what training did, within rounding.
        var, eps = (scale.square().reciprocal(), 0.0) if ctx.training else (scale, ctx.eps)
        z = torch.native_batch_norm(x, weight, bias, mean, var, False, 0.0, eps)[0]
        dz = operators.backward(dy, z, ctx.activation.kernel(0))
        del z
        statistics = (None, None, mean, scale) if ctx.training else (mean, scale, None, None)
        gradients = batch_norm_backward(
            ctx.implementation,
            x,
            dz,
            weight,
            *statistics,
            ctx.training,
            ctx.eps,
            [
                needed and given is not None
                for needed, given in zip(ctx.needs_input_grad, (x, weight, bias), strict=False)
            ],
            reserve,
        )
        return *gradients, *[None] * 6


def _general_backward(ctx: Any, dy: Tensor) -> list[Tensor | None]:
    """Return dx, dweight, dbias by the unfused pair; in grad mode as functions of x, weight, bias and dy."""
    x, weight, bias, mean, var, _ = ctx.saved_tensors
    if ctx.training:
        mean = var = None
    elif ctx.by_triton:
        var = var.square().reciprocal() - ctx.eps
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        y = ctx.activation(batch_norm(x, mean, var, weight, bias, ctx.training, 0.0, ctx.eps))
    needed = [value for value, needs in zip((x, weight, bias), ctx.needs_input_grad, strict=False) if needs]
    found = iter(torch.autograd.grad(y, needed, dy, create_graph=again))
    return [next(found) if needs else None for needs in ctx.needs_input_grad[:3]]


class _BatchNormActivation(BatchNorm):
    """A batch normalisation, whose weights, statistics and state_dict keys it has, and the activation after it.

    Input and output as the normalisation's, whose momentum, eps, affine and track_running_stats mean the same. Double
    backward is exact. Under torch.compile, which decides itself what to compute again in backward, and under torch.func
    and forward mode it runs as the plain pair.
    """

    def __init__(self, norm: BatchNorm, activation: ActivationModule) -> None:
        super().__init__(
            norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta"
        )
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(self, name, getattr(norm, name))  # the very tensors: an optimiser may hold them
        self.activation = activation
        self.train(norm.training)

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of the normalised input, in the input's shape, dtype and memory format."""
        if torch.compiler.is_compiling() or is_transformed():
            return self.activation(super().forward(input))
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        of_batch = self.training or self.running_mean is None
        if of_batch and input.numel() == input.size(1):
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.size()}")
        kept = not self.training or self.track_running_stats
        statistics = (self.running_mean, self.running_var) if kept else (None, None)
        return _NormActivation.apply(
            input, self.weight, self.bias, *statistics, of_batch, momentum, self.eps, self.activation.activation
        )


class BatchNormActivation1d(_BatchNormActivation, nn.BatchNorm1d):
    """`nn.BatchNorm1d` and an activation: (B, C) or (B, C, L)."""


class BatchNormActivation2d(_BatchNormActivation, nn.BatchNorm2d):
    """`nn.BatchNorm2d` and an activation: (B, C, H, W)."""


class BatchNormActivation3d(_BatchNormActivation, nn.BatchNorm3d):
    """`nn.BatchNorm3d` and an activation: (B, C, D, H, W)."""


_FUSED: dict[type[nn.Module], type[_BatchNormActivation]] = {
    nn.BatchNorm1d: BatchNormActivation1d,
    nn.BatchNorm2d: BatchNormActivation2d,
    nn.BatchNorm3d: BatchNormActivation3d,
}


def fuse_bn(model: nn.Module) -> int:
    """Replace every batch normalisation that a cosnb activation follows, in place; return how many were replaced.

    A pair is two neighbours in an `nn.Sequential`. The fused module takes the normalisation's place, `nn.Identity` the
    activation's, so indices and state_dict keys stay, and a state loads into the model before and after. Left as they
    are: a normalisation that stands at several places, modules with hooks, subclasses. Convert to SyncBatchNorm, if at
    all, before. Raises CosnbError where no pair is found, since that is most likely a slip.
    """
    parents = list(model.modules())
    places = [id(child) for parent in parents for child in parent._modules.values()]
    count = 0
    for parent in parents:
        if not isinstance(parent, nn.Sequential) or type(parent).forward is not nn.Sequential.forward:
            continue
        keys = list(parent._modules)
        for key, following in pairwise(keys):
            norm, activation = parent._modules[key], parent._modules[following]
            if type(norm) not in _FUSED or type(activation) is not ActivationModule:
                continue
            assert isinstance(norm, BatchNorm)
            if places.count(id(norm)) > 1 or any(getattr(m, hook) for m in (norm, activation) for hook in _HOOKS):
                continue
            parent._modules[key] = _FUSED[type(norm)](norm, activation)
            parent._modules[following] = nn.Identity()
            count += 1
    if count == 0:
        raise CosnbError(
            f"no BatchNorm with a cosnb activation after it in an nn.Sequential inside {type(model).__name__}: "
            "nothing to fuse"
        )
    return count
