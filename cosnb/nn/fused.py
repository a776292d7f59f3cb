"""Batch normalisation and activation as one module that saves for backward only the input and a channel's statistics.

ReLU saves its output, which the next layer saves anyway; a smooth activation saves its input besides. That input is
x̂·weight + bias, one multiplication and one addition from what the normalisation saves, so backward computes it again:

    z = (x − mean)·invstd·weight + bias,  y = f(z);    dz = dy·f′(z),  dx = the normalisation's backward of dz.

On CUDA devices two Triton launches do so in each direction (cosnb.kernels.norm), elsewhere PyTorch's kernels around the
activation's.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.functional import batch_norm

from cosnb.activations import Activation, ActivationModule
from cosnb.errors import CosnbError
from cosnb.kernels import norm, operators
from cosnb.kernels.torch_internals import BatchNorm, batch_norm_backward, fx_leaf, is_dense, is_recorded, is_transformed
from cosnb.kernels.torch_internals import batch_norm as batch_norm_forward
from cosnb.nn.pairs import find_pairs


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


class _EpsError(CosnbError, AttributeError):
    """As a missing attribute, for tools that only look for what there is."""


class _BatchNormActivation(BatchNorm):
    """A batch normalisation, whose weights, statistics and state_dict keys it has, and the activation after it.

    Input and output as the normalisation's, whose momentum, affine and track_running_stats mean the same. Double
    backward is exact. Under torch.compile, which decides itself what to compute again in backward, under torch.func,
    forward mode and torch.jit.trace it runs as the plain pair. Reading `eps` raises CosnbError: whoever reads it
    (SyncBatchNorm.convert_sync_batchnorm, folding into a convolution, freezing) is about to normalise in its place, and
    would lose the activation.
    """

    activation: ActivationModule
    marks: Any = (
        False  # True where the activation is called after it by the parent's forward, and passes on what is marked
    )

    __constants__ = ["track_running_stats", "momentum", "num_features", "affine"]  # noqa: RUF012  (as PyTorch has it)

    def __getattr__(self, name: str) -> Any:
        if name == "eps":
            raise _EpsError(
                "a batch normalisation that cosnb.fuse_bn joined with its activation cannot be converted, frozen or "
                "folded: do that before fuse_bn"
            )
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__("_eps" if name == "eps" else name, value)

    def extra_repr(self) -> str:
        settings = f"eps={self._eps}, momentum={self.momentum}, affine={self.affine}"
        return f"{self.num_features}, {settings}, track_running_stats={self.track_running_stats}"

    def forward(self, input: Tensor) -> Tensor:
        """Return the activation of the normalised input, in the input's shape, dtype and memory format."""
        if isinstance(input, Proxy) and (leaf := fx_leaf(self, input)) is not None:
            return leaf
        self._check_input_dim(input)
        momentum, eps = 0.0 if self.momentum is None else self.momentum, self._eps
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:
                momentum = 1.0 / float(self.num_batches_tracked)
        of_batch = self.training or self.running_mean is None
        kept = not self.training or self.track_running_stats
        statistics = (self.running_mean, self.running_var) if kept else (None, None)
        if torch.compiler.is_compiling() or is_transformed() or is_recorded():
            z = batch_norm(input, *statistics, self.weight, self.bias, of_batch, momentum, eps)
            return z if self.marks else self.activation(z)
        if of_batch and input.numel() == input.size(1):
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {input.size()}")
        act = self.activation.activation
        y = _NormActivation.apply(input, self.weight, self.bias, *statistics, of_batch, momentum, eps, act)
        if self.marks:
            y.cosnb_activated = act
        return y


class _MarkedActivation(ActivationModule):
    """An activation that passes on what a fused normalisation has applied it to: its parent calls it after that one."""

    def forward(self, input: Tensor) -> Tensor:
        """Apply the activation to a floating-point tensor of any shape, unless it has been applied."""
        if getattr(input, "cosnb_activated", None) is self.activation:
            delattr(input, "cosnb_activated")  # changed in place after this, it may come again as another input
            return input
        return super().forward(input)


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


class Fused(int):
    """The number of pairs joined; `left`: {name of each batch normalisation that was not: the reason}."""

    left: dict[str, str]


def fuse_bn(model: nn.Module) -> Fused:
    """Join each batch normalisation with the cosnb activation that follows it, in place; return how many were joined.

    A pair is two neighbours in an nn.Sequential, or two modules that `forward` calls one after the other, as torch.fx
    finds in training and in evaluation. The normalisation then computes both. In a Sequential the activation becomes
    nn.Identity; elsewhere it passes on what that normalisation has computed, so that an activation called after several
    modules stays right. Indices and the keys of state_dict stay, and a state loads into the model before and after.

    `fuse_bn(model).left` names what was not joined, with the reason: a normalisation that is called twice or used in
    several places, modules with hooks, subclasses, or no cosnb activation after it. Convert to SyncBatchNorm, freeze or
    fold before the call, not after it. Raises CosnbError where no pair is found, which is most likely a mistake.
    """
    pairs, left = find_pairs(model, tuple(_FUSED))
    for bn, activation, place in pairs:
        bn.__class__ = _FUSED[type(bn)]  # the very object, which an optimiser or a list may hold
        bn.eps = vars(bn).pop("eps")
        bn.activation = ActivationModule(activation.activation).train(bn.training)
        vars(bn)["marks"] = place is None
        if place is None:
            activation.__class__ = _MarkedActivation
        else:
            place[0]._modules[place[1]] = nn.Identity()
    if not pairs:
        told = "; ".join(f"{name}: {reason}" for name, reason in list(left.items())[:3])
        raise CosnbError(
            f"no BatchNorm with a cosnb activation after it inside {type(model).__name__}: nothing to fuse"
            + (f" ({told}{'; …' if len(left) > 3 else ''})" if told else "")
        )
    fused = Fused(len(pairs))
    fused.left = left
    return fused
