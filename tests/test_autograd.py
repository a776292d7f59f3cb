"""Derivatives through PyTorch: reverse and forward mode of every order, torch.func, and what is kept for backward."""

import warnings

import pytest
import torch
from mpmath import mp
from oracles import NAMES, SMOOTH, oracle
from torch import Tensor
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from cosnb import activation
from cosnb.kernels import cpu
from cosnb.symbolic.catalogue import CATALOGUE

# PyTorch's own, while it batches a gradient check
QUIET = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
CLOSE = {"rtol": 1e-13, "atol": 1e-15}  # C and PyTorch operations in float64, a few ulp apart


def points(*shape: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (values * 3).requires_grad_()


def slope(f):  # type: ignore[no-untyped-def]
    return lambda v: jvp(f, (v,), (torch.ones_like(v),))[1]


@QUIET
@pytest.mark.parametrize("name", CATALOGUE)
def test_gradcheck_of_every_row(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # By PyTorch operations: what is under test is autograd and the derivatives; C is compiled for five rows below.
    monkeypatch.setattr(cpu, "supports", lambda dtype: False)
    x = torch.tensor([-4.3, -0.37, 0.83, 7.1], dtype=torch.float64, requires_grad=True)  # away from every kink
    module = activation(name).module()
    assert torch.autograd.gradcheck(module, (x,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(module, (x,))


@QUIET
@pytest.mark.parametrize("name", SMOOTH)
def test_gradcheck_of_c_in_both_modes_and_batched(name: str) -> None:
    x = torch.tensor([-3.0, 0.0, 0.2], dtype=torch.float64, requires_grad=True)
    module = activation(name).module()
    assert torch.autograd.gradcheck(
        module, (x,), check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )
    assert torch.autograd.gradgradcheck(module, (x,), check_fwd_over_rev=True)


@pytest.mark.parametrize("name", NAMES)
def test_first_and_second_derivative_at_zero_are_the_symbolic_ones(name: str) -> None:
    x = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(activation(name)(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first, x, allow_unused=True)
    assert first.item() == pytest.approx(float(oracle(name, 0.0, 1)), abs=1e-15)
    assert (0 if second is None else second.item()) == pytest.approx(float(oracle(name, 0.0, 2)), abs=1e-15)


@pytest.mark.parametrize("name", ["swish", "cos"])
def test_every_way_to_a_second_derivative_gives_the_same(name: str) -> None:
    act = activation(name)
    x = points(9).detach()
    second = act.elementwise(2)(x)
    total = lambda v: act(v).sum()  # noqa: E731
    for matrix in (
        hessian(total)(x),
        jacrev(jacrev(total))(x),
        jacfwd(jacfwd(total))(x),  # PyTorch by itself: silently 0 through a custom Function (issue 197867)
        jacrev(jacfwd(total))(x),
    ):
        torch.testing.assert_close(matrix, second.diag(), **CLOSE)
    for values in (
        vmap(grad(grad(act)))(x),
        slope(slope(act))(x),
        vmap(slope(grad(act)))(x),
        vmap(grad(slope(act)))(x),
        vjp(slope(act), x)[1](torch.ones_like(x))[0],
    ):
        torch.testing.assert_close(values, second, **CLOSE)


def test_third_derivative() -> None:
    x = torch.tensor(0.7, dtype=torch.float64)
    act = activation("swish")
    with mp.workdps(60):
        third = float(mp.diff(lambda z: oracle("swish", z, 2), x.item()))
    assert grad(grad(grad(act)))(x).item() == pytest.approx(third, rel=1e-12)
    assert slope(slope(slope(act)))(x).item() == pytest.approx(third, rel=1e-12)


def test_forward_mode_outside_torch_func() -> None:
    x, tangent = points(5).detach(), torch.linspace(1, 2, 5, dtype=torch.float64)
    act = activation("mish")
    with forward_ad.dual_level():
        value, found = forward_ad.unpack_dual(act(forward_ad.make_dual(x, tangent)))
        assert torch.equal(value, act(x))
        torch.testing.assert_close(found, tangent * act.elementwise(1)(x), **CLOSE)


@pytest.mark.parametrize("in_dim", [0, 1, -1])
def test_vmap_is_the_loop(in_dim: int) -> None:
    x = points(3, 4, 5).detach()
    act = activation("cos")
    assert torch.equal(vmap(act, in_dims=in_dim, out_dims=in_dim)(x), act(x))
    torch.testing.assert_close(
        vmap(grad(lambda v: act(v).sum()), in_dims=in_dim, out_dims=in_dim)(x), act.elementwise(1)(x), **CLOSE
    )


def test_vmap_over_what_comes_back_alone_or_with_x() -> None:
    act, x, dy = activation("swish"), points(4).detach(), torch.randn(3, 4, dtype=torch.float64)
    expected = dy * act.elementwise(1)(x)
    backward = lambda v, g: vjp(act, v)[1](g)[0]  # noqa: E731
    torch.testing.assert_close(vmap(backward, in_dims=(None, 0))(x, dy), expected, **CLOSE)
    torch.testing.assert_close(vmap(backward, in_dims=(None, 1), out_dims=1)(x, dy.T), expected.T, **CLOSE)
    torch.testing.assert_close(vmap(backward, in_dims=(0, None))(dy, x), x * act.elementwise(1)(dy), **CLOSE)
    torch.testing.assert_close(vmap(vmap(act))(dy.reshape(3, 2, 2)), act(dy).reshape(3, 2, 2), **CLOSE)


def test_functional_call_gives_the_gradients_of_a_network() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), activation("cos").module(), torch.nn.Linear(4, 1)).double()
    x = points(5, 3).detach()
    net(x).sum().backward()
    found = grad(lambda weights: functional_call(net, weights, (x,)).sum())(dict(net.named_parameters()))
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, **CLOSE)


# What is kept


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", NAMES)
def test_only_the_input_itself_is_kept_for_backward(name: str, dtype: torch.dtype) -> None:
    x = points(64).detach().to(dtype).requires_grad_()
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        activation(name).module()(x)
    assert [tensor.untyped_storage().data_ptr() for tensor in kept] == [x.untyped_storage().data_ptr()]
    assert sum(tensor.untyped_storage().nbytes() for tensor in kept) == x.numel() * x.element_size()


def test_nothing_is_kept_where_no_gradient_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    act = activation("cos")
    act(points(3))
    monkeypatch.setattr(act, "_orders", None)  # autograd's Functions are not even looked at
    assert act(points(3).detach()).grad_fn is None
    with torch.no_grad():
        assert not act(points(3)).requires_grad
    with torch.inference_mode():
        assert act(torch.ones(3)).is_inference()


def test_in_place_changes_of_the_input_are_noticed() -> None:
    x = points(3)
    y = activation("cos")(middle := x * 1)
    middle.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_backward_run_twice_and_one_through_checkpoint_agree() -> None:
    act, x = activation("cos"), points(6)
    y = act(x).sum()
    (first,) = torch.autograd.grad(y, x, retain_graph=True)
    (second,) = torch.autograd.grad(y, x)
    with warnings.catch_warnings():
        again = torch.utils.checkpoint.checkpoint(act, x, use_reentrant=False)
    (third,) = torch.autograd.grad(again.sum(), x)
    assert torch.equal(first, second)
    assert torch.equal(first, third)
