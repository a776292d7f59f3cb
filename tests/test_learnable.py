"""Parameters that learn: values, gradients of every kind, copies, and the names they get."""

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jvp, vmap

from cosnb import CosnbError, activation, swap
from cosnb.activations import LearnableModule
from cosnb.symbolic.catalogue import CATALOGUE

ROWS = [name for name, row in CATALOGUE.items() if row.parameters]
# PyTorch's own, in forward mode and while it traces
pytestmark = pytest.mark.filterwarnings("ignore:.*(should not be instantiated|torch.jit.script).*:DeprecationWarning")
CLOSE = {"rtol": 1e-13, "atol": 1e-14}


def points(n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return (torch.randn(n, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3).to(dtype)


def as_function(module: nn.Module):  # type: ignore[no-untyped-def]
    names = [name for name, _ in module.named_parameters()]
    return lambda x, *values: functional_call(module, dict(zip(names, values, strict=True)), (x,))


@pytest.mark.parametrize("name", ROWS)
def test_gradcheck_of_every_row_with_its_parameters(name: str) -> None:
    module = activation(name).module(learnable=True).double()
    x = torch.tensor([-4.3, -0.37, 0.83, 7.1], dtype=torch.float64, requires_grad=True)  # away from every kink
    inputs = (x, *(p.detach().clone().requires_grad_() for p in module.parameters()))
    if name == "hardtanh":  # SymPy knows that neither bound is x, so its second derivatives are plain zeros
        inputs = (x, *(p.detach() for p in module.parameters()))
    assert torch.autograd.gradcheck(as_function(module), inputs, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(as_function(module), inputs)


@pytest.mark.parametrize("name", ROWS)
def test_the_first_values_are_the_activation_s(name: str) -> None:
    act = activation(name)
    module = act.module(learnable=True)
    assert list(module.state_dict()) == [symbol.name for symbol in act.parameters]
    assert all(p.dtype == torch.float32 and p.shape == () for p in module.parameters())
    torch.testing.assert_close(module.double()(points(50)), act(points(50)), rtol=1e-6, atol=1e-7)  # float32's numbers


@pytest.mark.parametrize("name", ROWS)
def test_far_out_values_and_gradients_stay_finite(name: str) -> None:
    module = activation(name).module(learnable=True)
    x = torch.tensor([-1e4, -200.0, -90.0, 90.0, 200.0, 1e4], requires_grad=True)
    y = module(x)
    y.sum().backward()
    # squareplus's x + √(x² + b) cancels below 0: a unit in the last place of x there
    atol = 2**-23 * x.abs() if name == "squareplus" else torch.full_like(x, 1e-6)
    expected = activation(name).elementwise()(x.detach().double())
    assert ((y - expected).abs() <= 1e-6 * expected.abs() + atol).all()
    assert all(v.grad is not None and v.grad.isfinite().all() for v in (x, *module.parameters()))


def test_formula_text_learns_as_the_catalogue_s_row_does() -> None:
    text = activation("x*sigmoid(x) + (sigmoid(a*x) - c)**2", a=5, c=0.5).module(learnable=True).double()
    row = activation("cos").module(learnable=True).double()
    for module in (text, row):
        module(points(9)).square().sum().backward()
    for name in ("a", "c"):
        torch.testing.assert_close(getattr(text, name).grad, getattr(row, name).grad, **CLOSE)


def test_gradients_are_autograd_s_own_through_the_plain_composition() -> None:
    x = points(200).requires_grad_()
    module = activation("cos", a=3, c="1/4").module(learnable=True).double()
    a, c = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (3.0, 0.25))
    ours = torch.autograd.grad(module(x).square().sum(), (x, module.a, module.c))
    plain = x * torch.sigmoid(x) + (torch.sigmoid(a * x) - c) ** 2
    for found, expected in zip(ours, torch.autograd.grad(plain.square().sum(), (x, a, c)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)


def test_a_parameter_in_a_condition_alone_has_the_gradient_0() -> None:
    module = activation("threshold").module(learnable=True)
    module(torch.tensor([0.5, 1.0, 1.5])).sum().backward()
    assert (module.theta.grad.item(), module.value.grad.item()) == (0, 2)


def test_it_learns_the_slope_it_is_shown() -> None:
    x, target = torch.linspace(-3, 3, 61), activation("swish", beta=3)
    module = activation("swish").module(learnable=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.5)
    for _ in range(150):
        optimizer.zero_grad()
        (module(x) - target(x)).square().mean().backward()
        optimizer.step()
    assert module.beta.item() == pytest.approx(3, abs=0.02)


def test_only_x_and_the_parameters_are_kept() -> None:
    module, x = activation("cos").module(learnable=True), torch.randn(64, requires_grad=True)
    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        module(x)
    assert [t.data_ptr() for t in kept] == [x.data_ptr(), module.a.data_ptr(), module.c.data_ptr()]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    module = activation("cos").module(learnable=True)
    x = points(3000, dtype).requires_grad_()
    single = x.detach().float().requires_grad_()
    y, exact = module(x), module(single)
    assert torch.equal(y, exact.to(dtype))
    found = torch.autograd.grad(y, (x, module.a, module.c), torch.ones_like(y))
    expected = torch.autograd.grad(exact, (single, module.a, module.c), torch.ones_like(exact))
    assert [g.dtype for g in found] == [dtype, torch.float32, torch.float32]
    assert torch.equal(found[0], expected[0].to(dtype))
    # Summed in 16 bits, 3,000 terms would be off by some per cent.
    assert all(torch.equal(a, b) for a, b in zip(found[1:], expected[1:], strict=True))


def test_to_moves_and_converts_the_parameters() -> None:
    module = activation("cos").module(learnable=True)
    assert module.double().a.dtype == torch.float64
    assert module(torch.ones(2)).dtype == torch.float32  # the input's, whatever the parameters'
    half = module.half()
    assert half(torch.ones(2, dtype=torch.float16)).dtype == torch.float16
    meta = module.to("meta")
    assert meta(torch.ones(2, device="meta", dtype=torch.float16)).device.type == "meta"
    assert "learnable" in repr(meta)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        net = nn.Sequential(nn.Linear(3, 3), activation("cos").module(learnable=True))
        y = net(torch.ones(2, 3))
    assert y.dtype == torch.bfloat16
    y.sum().backward()
    assert net[1].a.grad.dtype == torch.float32


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (2, 3, 4)])
def test_any_shape(shape: tuple[int, ...]) -> None:
    for name in ("cos", "prelu", "threshold"):
        module = activation(name).module(learnable=True)
        y = module(torch.zeros(shape, requires_grad=True))
        y.sum().backward()
        assert y.shape == shape
        assert all(p.grad is not None and p.grad.shape == () for p in module.parameters())


# torch.func and torch.compile


def test_torch_func_over_an_ensemble_of_parameters() -> None:
    module = activation("cos").module(learnable=True).double()
    call, x = as_function(module), points(5)
    slopes, shift = torch.tensor([1.0, 5.0, 9.0], dtype=torch.float64), module.c.detach()
    each = lambda f, *dims: [f(x, a, shift) for a in slopes]  # noqa: E731
    torch.testing.assert_close(vmap(call, in_dims=(None, 0, None))(x, slopes, shift), torch.stack(each(call)), **CLOSE)
    total = lambda x, a, c: call(x, a, c).square().sum()  # noqa: E731
    for derive in (grad(total, 1), jacfwd(total, 0), hessian(total, 1), grad(grad(total, 1), 2), jacfwd(call, 1)):
        torch.testing.assert_close(
            vmap(derive, in_dims=(None, 0, None))(x, slopes, shift), torch.stack(each(derive)), **CLOSE
        )
    batch = torch.stack([x, 2 * x, 3 * x], dim=1)
    torch.testing.assert_close(
        vmap(grad(total, 1), in_dims=(1, 0, None))(batch, slopes, shift),
        torch.stack([grad(total, 1)(batch[:, i], slopes[i], shift) for i in range(3)]),
        **CLOSE,
    )


def test_forward_mode_of_forward_mode_is_the_second_derivative() -> None:
    call, x = as_function(activation("cos").module(learnable=True).double()), points(7)
    a, c = torch.tensor(5.0, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    slope = lambda f: lambda v: jvp(f, (v,), (torch.ones_like(v),))[1]  # noqa: E731
    torch.testing.assert_close(
        slope(slope(lambda v: call(v, a, c)))(x), activation("cos").elementwise(2)(x), rtol=1e-12, atol=1e-13
    )
    total = lambda v: call(x, v, c).sum()  # noqa: E731
    torch.testing.assert_close(slope(slope(total))(a), grad(grad(total))(a), **CLOSE)


def test_compiled_fullgraph_gradients_are_the_eager_ones() -> None:
    torch._dynamo.reset()
    net = nn.Sequential(activation("cos").module(learnable=True), activation("swish").module(learnable=True)).double()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    x = points(9).requires_grad_()
    inputs = (x, *net.parameters())
    found, expected = (torch.autograd.grad(f(x).square().sum(), inputs) for f in (compiled, net))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)
    with torch.no_grad():
        net[0].a.fill_(2)
    torch.testing.assert_close(compiled(x), net(x), **CLOSE)  # the parameters are no constants of the graph


# Modules


def test_each_module_has_parameters_of_its_own() -> None:
    one, other = (activation("cos").module(learnable=True) for _ in range(2))
    with torch.no_grad():
        one.a.fill_(2)
    assert other.a.item() == 5
    assert activation("cos").parameters == other.activation.parameters
    twin = copy.deepcopy(one)
    assert twin.a is not one.a
    assert twin.a.item() == 2
    for loaded in (pickle.loads(pickle.dumps(one)), twin):
        assert torch.equal(loaded(points(3)), one(points(3)))


def test_state_dict_goes_there_and_back() -> None:
    one, other = (nn.Sequential(nn.Linear(2, 2), activation("cos").module(learnable=True)) for _ in range(2))
    with torch.no_grad():
        one[1].a.fill_(2)
        one[1].c.fill_(-1)
    buffer = io.BytesIO()
    torch.save(one.state_dict(), buffer)
    buffer.seek(0)
    assert list(one.state_dict()) == ["0.weight", "0.bias", "1.a", "1.c"]
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert (other[1].a.item(), other[1].c.item()) == (2, -1)


def test_names_that_a_module_or_the_printed_code_has_already() -> None:
    names = {"training": 1, "half": 2, "forward": 3, "activation": 4, "torch": 5, "input": 6, "v1": 7, "dy": 8, "t": 9}
    act = activation(" + ".join(f"{name}*x" for name in names), **names)
    module = act.module(learnable=True)
    found = {name: value.item() for name, value in module.named_parameters()}
    taken = ("activation", "forward", "half", "training")
    assert found == {name + "_" * (name in taken): value for name, value in names.items()}
    torch.testing.assert_close(module(torch.ones(3)), act(torch.ones(3)))
    module(torch.full((3,), 0.1)).sum().backward()
    assert all(p.grad is not None and p.grad > 0 for p in module.parameters())


def test_an_activation_without_parameters_is_refused() -> None:
    with pytest.raises(CosnbError, match=r"relu has no parameters that could learn: leave out learnable=True"):
        activation("relu").module(learnable=True)


def test_swap_gives_each_place_parameters_of_its_own_and_keeps_what_is_shared() -> None:
    shared = nn.ReLU()
    net = nn.Sequential(shared, nn.Linear(2, 2), nn.ReLU(), shared)
    assert swap(net, nn.ReLU, "cos", learnable=True, a=3) == 3
    assert all(isinstance(net[i], LearnableModule) for i in (0, 2, 3))
    assert net[0] is net[3]
    assert net[0] is not net[2]
    assert sorted(name for name, _ in net.named_parameters()) == ["0.a", "0.c", "1.bias", "1.weight", "2.a", "2.c"]
