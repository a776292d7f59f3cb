"""Private parts of PyTorch: all that formulas and training use, what for, and what that gains.

    here                          of PyTorch's own                      why                              gained
    is_plain, is_dense            _C's dispatch keys and stacks,        past the dispatcher and its     14 µs (1.3)
                                  _current_level, _profiler_enabled     Python kernel
    is_constant                   _current_level,                       past autograd where nothing      3.8 µs forward
                                  _are_functorch_transforms_active      can be differentiated
    Function                      _functorch.unwrap_if_dead             past the look-up of forward's    25 µs
                                                                        signature in Function.apply
    is_transformed                as is_constant                        no public question               correctness
    forward_mode_on               _set_fwd_grad_enabled                 a jvp of a jvp would be 0        correctness
                                                                        (PyTorch's issue 197867)
    is_recorded                   _is_tracing                         torch.jit's own asks more            0.3 µs
    unrecorded                    _get_tracing_state, _set_…           autograd inside of a trace           correctness
    has_dispatch_mode             _len_torch_dispatch_stack             a mode must see operations       correctness
    batch_norm, …_backward        _batch_norm_impl_index, its backward  nn.BatchNorm's kernels, with     memory
                                                                        what their backward needs
    BatchNorm                     _BatchNorm                            their common class
    let_device_sleep              cuda._sleep                           calls queue up meanwhile         a clean clock
    cpu_multiplies_bfloat16       cpu._is_avx512_bf16_supported,        no public question               correctness
                                  _is_amx_tile_supported
    runs_at_trace, untraced       marks that torch.compiler sets        torch.compiler imports Dynamo    1.7 s at start

Gained: in a forward and a backward of CoS on 100 float32 elements, which take 46 µs, or in a forward without gradient,
4.9 µs: least of 800 timings of each way in turns, one thread of a Xeon, PyTorch 2.13. Tried with 2.13 (the lock) and,
by drills/versions.py, 2.8. Where a name that only saves time is gone, the public way is taken.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx import Proxy
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

__all__ = [
    "BatchNorm",
    "Function",
    "batch_norm",
    "batch_norm_backward",
    "cpu_multiplies_bfloat16",
    "forward_mode_on",
    "fx_leaf",
    "has_dispatch_mode",
    "is_constant",
    "is_dense",
    "is_plain",
    "is_recorded",
    "is_transformed",
    "let_device_sleep",
    "runs_at_trace",
    "unrecorded",
    "untraced",
]
C = TypeVar("C", bound=Callable[..., Any])
_TYPES: tuple[type, ...] = (Tensor, nn.Parameter)
_are_transforms_active = torch._C._are_functorch_transforms_active
_unwrap_if_dead = getattr(torch._C._functorch, "unwrap_if_dead", None)


def is_plain(x: Tensor, dy: Tensor | None = None) -> bool:
    """Say whether an operator on these tensors would run the CPU's or CUDA's code for it and do nothing else.

    Not for subclasses, sparse, quantised, fake, batched, lazily negated tensors and the like, nor under torch.compile,
    torch.func, forward mode, a mode, a tracer, a profiler, nor where autograd would record the call.
    """
    return (
        not torch.compiler.is_compiling()
        and is_dense(x)
        and (dy is None or is_dense(dy))
        and forward_ad._current_level < 0
        and not _len_torch_function_stack()
        and not _profiler_enabled()
        and _dispatch_tls_local_include_set().raw_repr() in _IDLE
        and not (torch.is_grad_enabled() and (x.requires_grad or (dy is not None and dy.requires_grad)))
    )


def let_device_sleep(cycles: int) -> None:
    """Have the current CUDA device wait for so many of its cycles before what it is given next."""
    torch.cuda._sleep(cycles)


def cpu_multiplies_bfloat16() -> bool:
    """Say whether the processor has units that multiply bfloat16: AVX512-BF16 or AMX."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def is_dense(x: Tensor) -> bool:
    """Say whether x is a tensor with memory of its own on a CPU or a CUDA device, and nothing besides."""
    return type(x) in _TYPES and _dispatch_keys(x).raw_repr() in _DENSE


def is_constant(x: Tensor) -> bool:
    """Say whether no derivative can be asked of what is done to `x`."""
    return (
        not (x.requires_grad and torch.is_grad_enabled())
        and forward_ad._current_level < 0
        and not _are_transforms_active()
    )


def is_transformed() -> bool:
    """Say whether torch.func or forward mode is at work."""
    return _are_transforms_active() or forward_ad._current_level >= 0


def is_recorded() -> bool:
    """Say whether torch.jit.trace, or torch.onnx.export upon it, records what is computed."""
    return bool(torch._C._is_tracing())


@contextmanager
def unrecorded() -> Iterator[None]:
    """Return a context in which nothing is recorded, inside of torch.jit.trace."""
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch._C._set_tracing_state(state)  # type: ignore[attr-defined]


def fx_leaf(module: nn.Module, *inputs: Proxy) -> Any:
    """Return the node of torch.fx that calls `module` as one step, as it does PyTorch's own; None for a tracer's root.

    torch.fx asks a module's name for whether it goes inside, and then its forward is called with proxies.
    """
    tracer = inputs[0].tracer
    try:
        path = tracer.path_of_module(module)  # type: ignore[attr-defined]
    except (AttributeError, NameError):  # a tracer without a root, or one that has another module
        return None
    return tracer.create_proxy("call_module", path, inputs, {}) if path else None


def has_dispatch_mode() -> bool:
    """Say whether a TorchDispatchMode is at work."""
    return bool(torch._C._len_torch_dispatch_stack())


def forward_mode_on() -> AbstractContextManager[Any]:
    """Return a context with forward mode on: PyTorch calls a Function's jvp with it off."""
    return forward_ad._set_fwd_grad_enabled(True)


class Function(torch.autograd.Function):
    """PyTorch's Function of tensors alone, whose `apply` leaves out what is needed only for other arguments.

    PyTorch's looks up the signature of `forward` in every call, to fill in defaults.
    """

    @classmethod
    def apply(cls, *tensors: Tensor) -> Any:
        """Return what `forward` returns, recorded for autograd."""
        if _unwrap_if_dead is None or _are_transforms_active():
            return super().apply(*tensors)
        # It takes off the wrapper that a tensor has kept from a transform of torch.func.
        return super(torch.autograd.Function, cls).apply(*map(_unwrap_if_dead, tensors))  # type: ignore[misc]


def batch_norm(*arguments: Any) -> Any:
    """Return y, mean, 1/std, reserve and the number of the implementation, of `torch._batch_norm_impl_index`."""
    return torch._batch_norm_impl_index(*arguments, torch.backends.cudnn.enabled)  # type: ignore[call-arg]


def batch_norm_backward(*arguments: Any) -> Any:
    """Return dx, dweight and dbias of what `batch_norm` did."""
    return torch.ops.aten._batch_norm_impl_index_backward(*arguments)


def runs_at_trace(function: C) -> C:
    """Mark a function that Dynamo runs as it stands instead of tracing it; its result is taken for a constant."""
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def untraced(message: str) -> Callable[[C], C]:
    """Return a decorator of functions that Dynamo refuses to trace, with `message`."""

    def mark(function: C) -> C:
        function._torchdynamo_disable = True  # type: ignore[attr-defined]
        function._torchdynamo_disable_msg = message  # type: ignore[attr-defined]
        return function

    return mark


def _keys(*names: str) -> int:
    keys = DispatchKeySet(DispatchKey.Undefined)
    for name in names:
        keys = keys | DispatchKeySet(getattr(DispatchKey, name))
    return keys.raw_repr()


try:
    from torch._C import (
        DispatchKey,
        DispatchKeySet,
        _dispatch_keys,
        _dispatch_tls_local_include_set,
        _len_torch_function_stack,
    )
    from torch.autograd import _profiler_enabled

    # A thread's own keys (each mode and transform adds one) and a tensor's, in inference_mode and outside.
    _IDLE = {_keys("BackendSelect"), _keys("BackendSelect", "ADInplaceOrView")}
    _DENSE = {
        _keys(device, f"Autocast{device}", *more)
        for device in ("CPU", "CUDA")
        for more in ((), ("ADInplaceOrView", f"Autograd{device}"))
    }
except (ImportError, AttributeError):  # then every call takes the dispatcher
    _TYPES = ()
