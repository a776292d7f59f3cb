"""Calls that go past PyTorch's dispatcher: when they do, and that all others still reach what watches them."""

import importlib.util
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo import compiled_autograd
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from cosnb import activation
from cosnb.kernels import torch_internals
from cosnb.kernels.torch_internals import is_plain

# PyTorch's own, where it traces, quantises, compiles or makes a nested tensor
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning", "ignore::torch.jit.TracerWarning"
)
X = torch.linspace(-3, 3, 12).reshape(3, 4)
G = torch.linspace(1, 2, 12).reshape(3, 4)


class Named(Tensor):
    """A subclass with PyTorch's own rules: results are of the subclass."""


class Dispatched(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(func.name())
        return func(*args, **(kwargs or {}))


class Called(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.seen.append(getattr(func, "__name__", ""))
        return func(*args, **(kwargs or {}))


def leaf() -> Tensor:
    return X.clone().requires_grad_()


def slope(dy: Tensor) -> Tensor:
    """Return dx of cos at X, through autograd."""
    x = leaf()
    return torch.autograd.grad(activation("cos")(x), x, dy)[0]


TENSORS: dict[str, tuple[bool, Callable[[], Tensor]]] = {
    "a tensor": (True, lambda: X),
    "a parameter": (True, lambda: nn.Parameter(X, requires_grad=False)),
    "a view": (True, lambda: X.T[1:]),
    "made in inference mode": (True, torch.inference_mode()(lambda: X * 1)),
    "recorded by autograd": (False, leaf),
    "a subclass": (False, lambda: X.as_subclass(Named)),
    "on meta": (False, lambda: X.to("meta")),
    "negated lazily": (False, lambda: torch.complex(X, X).conj().imag),
    "zero without memory": (False, lambda: torch._efficientzerotensor((3, 4))),
    "sparse": (False, X.to_sparse),
    "sparse by rows": (False, X.to_sparse_csr),
    "of mkldnn": (False, X.to_mkldnn),
    "quantised": (False, lambda: torch.quantize_per_tensor(X, 0.1, 0, torch.qint8)),
    "nested": (False, lambda: torch.nested.nested_tensor([X, X])),
    "functional": (False, lambda: torch._to_functional_tensor(X)),
    "fake, without its mode": (False, lambda: FakeTensorMode().from_tensor(X)),
    "batched": (False, lambda: torch._add_batch_dim(X, 0, 1)),
}
CONTEXTS: dict[str, tuple[bool, Callable[[], AbstractContextManager]]] = {
    "no_grad": (True, torch.no_grad),
    "inference_mode": (True, torch.inference_mode),
    "autocast": (True, lambda: torch.autocast("cpu", dtype=torch.bfloat16)),
    "saved_tensors_hooks": (True, torch.autograd.graph.save_on_cpu),
    "a dispatch mode": (False, Dispatched),
    "a function mode": (False, Called),
    "a default device": (False, lambda: torch.device("cpu")),
    "fake tensors": (False, FakeTensorMode),
    "forward mode": (False, forward_ad.dual_level),
    "the profiler": (False, lambda: profile(activities=[ProfilerActivity.CPU])),
}


@pytest.mark.parametrize("name", TENSORS)
def test_plain_is_an_ordinary_tensor(name: str) -> None:
    expected, make = TENSORS[name]
    x = make()
    assert is_plain(x) is is_plain(X, x) is expected


def test_plain_are_the_keys_of_cuda_tensors_too() -> None:
    with FakeTensorMode():  # a fake tensor has its device's keys, and two of its own; it needs no GPU
        for device, expected in (("cpu", True), ("cuda", True), ("xpu", False)):
            keys = torch._C._dispatch_keys(torch.empty(2, device=device))
            own = torch._C.DispatchKeySet(torch._C.DispatchKey.Python)
            own = own | torch._C.DispatchKeySet(torch._C.DispatchKey.PythonTLSSnapshot)
            assert ((keys - own).raw_repr() in torch_internals._DENSE) is expected


@pytest.mark.parametrize("name", CONTEXTS)
def test_plain_is_a_call_that_nothing_watches(name: str) -> None:
    expected, context = CONTEXTS[name]
    with context():
        assert is_plain(X) is expected
    assert is_plain(X)


def test_nothing_is_plain_under_tracers_and_transforms() -> None:
    found: list[bool] = []

    def ask(x: Tensor) -> Tensor:
        found.append(is_plain(X))
        return x * 1

    torch.jit.trace(ask, X)
    torch.vmap(ask)(X)
    torch.func.jvp(ask, (X,), (X,))
    torch.func.functionalize(ask)(X)
    torch.fx.experimental.proxy_tensor.make_fx(ask, pre_dispatch=True)(X)
    assert found[0] is False  # torch.jit.trace calls again, untraced, to check what it traced
    assert not any(found[-4:])


def test_a_plain_call_is_the_operator_s(monkeypatch: pytest.MonkeyPatch) -> None:
    act = activation("cos")
    key = act.kernel().key
    y, dx = torch.ops.cosnb.forward(X, key), torch.ops.cosnb.backward(G, X, key)
    for _ in range(2):
        assert torch.equal(act(X), y)
        assert torch.equal(act(leaf()), y)
        assert torch.equal(slope(G), dx)
        monkeypatch.setattr(torch_internals, "_TYPES", ())  # what is left where PyTorch lacks a name


@pytest.mark.parametrize("name", ["_dispatch_keys", "_dispatch_tls_local_include_set", "_len_torch_function_stack"])
def test_without_pytorch_s_own_names_nothing_is_plain(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C, name)
    spec = importlib.util.spec_from_file_location("without", Path(torch_internals.__file__))
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert not module.is_plain(X)


# What watches or changes calls still does, forward and backward.


def test_modes_and_the_profiler_see_the_operators() -> None:
    act, x = activation("cos"), leaf()
    for mode in (Dispatched(), Called()):
        with mode:
            act(X)
            y = act(x)
        assert sum("forward" in name for name in mode.seen) == 2
    with Dispatched() as mode:
        y.backward(G)
    assert "cosnb::backward" in mode.seen
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        act(X)
        act(x).backward(G)
    assert {"cosnb::forward", "cosnb::backward"} <= {event.key for event in seen.key_averages()}


def test_a_traced_function_keeps_the_operator() -> None:
    act = activation("cos")
    traced = torch.jit.trace(act.module(), X)
    assert torch.equal(traced(G), act(G))
    graph = torch.fx.experimental.proxy_tensor.make_fx(act.module(), pre_dispatch=True)(X)
    assert torch.equal(graph(G), act(G))


def test_subclasses_stay() -> None:
    act, named = activation("cos"), X.as_subclass(Named)
    assert type(act(named)) is type(act(leaf().as_subclass(Named))) is type(slope(named)) is Named
    assert torch.equal(act(named).as_subclass(Tensor), act(X))
    assert torch.equal(slope(G.as_subclass(Named)).as_subclass(Tensor), slope(G))


def test_tensors_that_only_stand_for_their_values() -> None:
    act = activation("cos")
    negated, zero = torch.complex(G, G).conj().imag, torch._efficientzerotensor((3, 4))
    assert torch.equal(act(negated), act(-G))
    assert torch.equal(slope(negated), slope(-G))
    assert torch.equal(act(zero), act(torch.zeros(3, 4)))
    assert torch.equal(slope(zero), torch.zeros(3, 4))


def test_a_gradient_of_another_type_or_mode() -> None:
    assert torch.equal(slope(G.double()), slope(G))
    with torch.inference_mode():
        dy = G * 1
    assert torch.equal(slope(dy), slope(G))
    x = leaf()
    y = activation("cos")(x)
    with forward_ad.dual_level():
        (dx,) = torch.autograd.grad(y, x, forward_ad.make_dual(G, X))
        value, tangent = forward_ad.unpack_dual(dx)
    assert torch.equal(value, slope(G))
    torch.testing.assert_close(tangent, slope(X))


@pytest.mark.parametrize("create_graph", [False, True])
def test_batched_gradients_are_the_loop(create_graph: bool) -> None:
    x, dys = leaf(), torch.stack([G, X, -G])
    y = activation("cos")(x)
    (old,) = torch.autograd.grad(y, x, dys, is_grads_batched=True, retain_graph=True, create_graph=create_graph)
    new = torch.vmap(lambda dy: torch.autograd.grad(y, x, dy, retain_graph=True, create_graph=create_graph)[0])(dys)
    for found in (old, new):
        assert torch.equal(found, torch.stack([slope(dy) for dy in dys]))


def test_what_saved_tensor_hooks_give_back_is_used() -> None:
    x = leaf()
    with torch.autograd.graph.saved_tensors_hooks(
        lambda t: t.numpy(), lambda a: torch.from_numpy(a).as_subclass(Named)
    ):
        y = activation("cos")(x)
    assert torch.equal(torch.autograd.grad(y, x, G)[0], slope(G))
    with torch.autograd.graph.save_on_cpu():
        y = activation("cos")(x)
    assert torch.equal(torch.autograd.grad(y, x, G)[0], slope(G))


def test_tensors_kept_from_a_transform_that_has_ended() -> None:
    act, kept = activation("cos"), []
    torch.func.grad(lambda v: (kept.append(v * 1), v.sum())[1])(X)
    assert torch.equal(act(kept[0]), act(X))
    assert torch.equal(slope(kept[0]), slope(X))
    learnable = act.module(learnable=True)
    assert torch.equal(learnable(kept[0]), learnable(X))


def test_hooks_fire_and_a_compiled_backward_agrees() -> None:
    torch._dynamo.reset()
    x, fired = leaf(), []
    y = activation("cos")(x)
    y.register_hook(lambda dy: fired.append("dy") or 2 * dy)
    y.grad_fn.register_hook(lambda dx, dy: fired.append((len(dx), len(dy))))
    y.backward(G, retain_graph=True)
    assert fired == ["dy", (1, 1)]
    assert torch.equal(x.grad, slope(2 * G))
    x = leaf()
    y = activation("cos")(x).sum()
    with compiled_autograd._enable(torch.compile(backend="eager", fullgraph=True)):
        y.backward()
    torch.testing.assert_close(x.grad, slope(torch.ones(3, 4)))


def test_no_other_module_of_the_formulas_uses_private_names_of_pytorch() -> None:
    package = Path(torch_internals.__file__).parents[1]
    private = re.compile(r"\b(?:torch(?:\.\w+)*|forward_ad|nn)\._[a-zA-Z]\w+|from torch[\w.]* import .*\b_[A-Z]")
    rooms = ("symbolic", "analysis", "codegen", "kernels", "nn", "accuracy", "experiments/training")
    files = [path for room in rooms for path in (package / room).rglob("*.py")] + list(package.glob("*.py"))
    users = {path.name for path in files if private.search(path.read_text(encoding="utf-8"))}
    assert users == {"torch_internals.py"}
