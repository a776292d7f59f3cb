"""What users hold: the module under autograd, torch.func, autocast and torch.compile, its copies, and `swap`."""

import copy
import io
import pickle
import re
import shutil

import pytest
import sympy
import torch
from mpmath import mp
from oracles import NAMES, SMOOTH, oracle
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from cosnb import Activation, CosnbError, activation, swap
from cosnb.activation import ActivationModule

NEEDS_COMPILER = pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU"
)
# PyTorch's own, while it traces and while it batches a gradient check
QUIET = pytest.mark.filterwarnings("ignore:.*(should not be instantiated|torch.jit.script).*:DeprecationWarning")


def points(*shape: int) -> Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (values * 3).requires_grad_()


# Derivatives


@QUIET
@pytest.mark.parametrize("name", SMOOTH)
def test_gradcheck_in_both_modes_and_batched(name: str) -> None:
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

    def slope(f):  # type: ignore[no-untyped-def]
        return lambda v: jvp(f, (v,), (torch.ones_like(v),))[1]

    total = lambda v: act(v).sum()  # noqa: E731
    for matrix in (
        hessian(total)(x),
        jacrev(jacrev(total))(x),
        jacfwd(jacfwd(total))(x),  # PyTorch by itself: silently 0 through a custom Function (issue 197867)
        jacrev(jacfwd(total))(x),
    ):
        torch.testing.assert_close(matrix, second.diag())
    for values in (
        vmap(grad(grad(act)))(x),
        slope(slope(act))(x),
        vmap(slope(grad(act)))(x),
        vmap(grad(slope(act)))(x),
    ):
        torch.testing.assert_close(values, second)


def test_third_derivative() -> None:
    x = torch.tensor(0.7, dtype=torch.float64)
    act = activation("swish")
    with mp.workdps(60):
        third = float(mp.diff(lambda z: oracle("swish", z, 2), x.item()))
    slope = lambda f: lambda v: jvp(f, (v,), (torch.ones_like(v),))[1]  # noqa: E731
    assert grad(grad(grad(act)))(x).item() == pytest.approx(third, rel=1e-12)
    assert slope(slope(slope(act)))(x).item() == pytest.approx(third, rel=1e-12)


def test_forward_mode_outside_torch_func() -> None:
    x, tangent = points(5).detach(), torch.linspace(1, 2, 5, dtype=torch.float64)
    act = activation("mish")
    with forward_ad.dual_level():
        value, slope = forward_ad.unpack_dual(act(forward_ad.make_dual(x, tangent)))
        assert torch.equal(value, act(x))
        torch.testing.assert_close(slope, tangent * act.elementwise(1)(x))


@pytest.mark.parametrize("in_dim", [0, 1, -1])
def test_vmap_is_the_loop(in_dim: int) -> None:
    x = points(3, 4, 5).detach()
    act = activation("cos")
    assert torch.equal(vmap(act, in_dims=in_dim, out_dims=in_dim)(x), act(x))
    torch.testing.assert_close(
        vmap(grad(lambda v: act(v).sum()), in_dims=in_dim, out_dims=in_dim)(x), act.elementwise(1)(x)
    )


@pytest.mark.parametrize("name", NAMES)
def test_only_the_input_itself_is_kept_for_backward(name: str) -> None:
    x = points(64)
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        activation(name).module()(x)
    assert [tensor.untyped_storage().data_ptr() for tensor in kept] == [x.untyped_storage().data_ptr()]


def test_nothing_is_kept_where_no_gradient_is_asked() -> None:
    assert activation("cos")(points(3).detach()).grad_fn is None
    with torch.no_grad():
        assert not activation("cos")(points(3)).requires_grad


# Shapes, strides, types, devices


@pytest.mark.parametrize("shape", [(), (0,), (1,), (1023,), (2, 0, 3), (2, 3, 5, 7)])
@pytest.mark.parametrize("name", NAMES)
def test_any_shape_forward_and_backward(name: str, shape: tuple[int, ...]) -> None:
    act, x = activation(name), points(*shape)
    y = act(x)
    assert y.shape == x.shape
    (dx,) = torch.autograd.grad(y, x, torch.full_like(y, 2))
    assert torch.equal(dx, 2 * act.elementwise(1)(x.detach()))


@pytest.mark.parametrize("name", ["relu", "swish", "cos"])
def test_any_strides(name: str) -> None:
    act, x = activation(name), points(2, 6, 4, 4).detach()
    last = x.to(memory_format=torch.channels_last)
    assert act(last).is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(act(last), act(x))
    for view in (x[:, ::2], x.transpose(1, 3), x[0, 0, 0, :1].expand(3, 4), x.flatten()[1::3]):
        assert torch.equal(act(view), act(view.contiguous()))
        leaf = view.detach().requires_grad_()
        act(leaf).sum().backward()
        assert leaf.grad is not None
        assert torch.equal(leaf.grad, act.elementwise(1)(view.contiguous()))


def test_the_input_is_left_as_it_was() -> None:
    x = points(50).detach()
    before = x.clone()
    activation("cos")(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
def test_dtype_of_value_and_gradient_is_the_input_s(dtype: torch.dtype) -> None:
    x = points(7).detach().to(dtype).requires_grad_()
    y = activation("cos")(x)
    y.sum().backward()
    assert y.dtype == dtype
    assert x.grad is not None
    assert x.grad.dtype == dtype


def test_autocast_keeps_the_dtype_that_comes_in() -> None:
    net = nn.Sequential(nn.Linear(4, 4), activation("cos").module(), nn.Linear(4, 2))
    x = torch.randn(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        hidden = net[0](x)
        assert net[1](hidden).dtype == hidden.dtype == torch.bfloat16
        assert net[1](x).dtype == torch.float32
        loss = net(x).float().square().sum()
    loss.backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in net.parameters())


def test_meta_device_works_forward_and_backward() -> None:
    module = activation("cos").module().to("meta")
    x = torch.empty(2, 3, device="meta", requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert (y.device.type, y.shape) == ("meta", (2, 3))
    assert x.grad is not None
    assert x.grad.shape == (2, 3)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64], ids=str)
def test_what_is_no_floating_point_tensor_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(CosnbError, match=rf"cos expects a floating-point tensor, got {dtype}"):
        activation("cos")(torch.zeros(3, dtype=dtype))


# torch.compile


@QUIET
@NEEDS_COMPILER
def test_compiled_fullgraph_forward_and_backward_equal_eager() -> None:
    torch._dynamo.reset()
    act = activation("cos")
    compiled = torch.compile(act.module(), fullgraph=True)
    x = torch.tensor([-3.0, -0.6, -0.0, 0.0, 1e-20, 2.5, 90.0]).requires_grad_()
    y = compiled(x)
    (dx,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(y, act(x), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(dx, act.elementwise(1)(x.detach()), rtol=1e-6, atol=1e-7)
    (first,) = torch.autograd.grad(compiled(x).sum(), x, create_graph=True)
    with pytest.raises(
        RuntimeError, match=r"torch\.compile with aot_autograd does not currently support double backward"
    ):
        first.sum().backward()


@QUIET
@pytest.mark.parametrize("name", ["relu", "mish"])
def test_traced_graph_keeps_one_tensor_and_gives_the_symbolic_slope(name: str) -> None:
    torch._dynamo.reset()
    act = activation(name)
    compiled = torch.compile(act.module(), fullgraph=True, backend="aot_eager")  # the tracing without the C++ compiler
    x = torch.tensor([-1.5, 0.0, 0.3, 7.0], dtype=torch.float64, requires_grad=True)
    compiled(x).sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, act.elementwise(1)(x.detach()), rtol=1e-14, atol=0)


@QUIET
def test_known_gap_torch_func_inside_torch_compile_is_wrong_at_zero() -> None:
    # There Dynamo drops the custom backward and jvp and differentiates the forward's |x| (pytorch issue 192985):
    # tanh′(0) comes out 0, not 1. Everywhere else the value is right. When this fails, PyTorch has mended it.
    torch._dynamo.reset()
    module = activation("tanh").module()
    slope = torch.compile(lambda v: jvp(module, (v,), (torch.ones_like(v),))[1], fullgraph=True, backend="aot_eager")
    found = slope(torch.tensor([0.0, 0.5], dtype=torch.float64))
    assert found.tolist() == pytest.approx([0.0, float(oracle("tanh", 0.5, 1))])


# The object


def test_parameters_of_cos_work() -> None:
    x = torch.linspace(-3, 3, 13, dtype=torch.float64)
    for slope, shift in ((5, 0.5), (2, "1/4"), (-3, "7.5e-1"), (".5", "1.5/3"), (0, 0)):
        act = activation("cos", a=slope, c=shift)
        reference = x * torch.sigmoid(x) + (torch.sigmoid(float(slope) * x) - float(sympy.Rational(str(shift)))) ** 2
        torch.testing.assert_close(act(x), reference, rtol=1e-13, atol=1e-15)
    assert activation("cos", a="5.0", c=0.5) is activation("cos")
    assert repr(activation("cos", c="1/3")) == "activation('cos', a=5, c=1/3)"


def test_unknown_names_and_parameters_are_named() -> None:
    with pytest.raises(CosnbError, match=r"cos has no parameter 'slope': its parameters are a, c"):
        activation("cos", slope=5)
    with pytest.raises(CosnbError, match=r"relu has no parameter 'beta': its parameters are none"):
        activation("relu", beta=1)
    with pytest.raises(CosnbError, match=r"did you mean 'swish'"):
        activation("swihs")


@pytest.mark.parametrize(
    "value", ["five", float("nan"), float("inf"), "1/0", "1e999999999", None, True, 2j, [5], "__import__('os')"]
)
def test_a_parameter_that_is_no_finite_number_is_refused_at_once(value: object) -> None:
    with pytest.raises(CosnbError, match="parameter a of cos must be a finite number"):
        activation("cos", a=value)  # type: ignore[arg-type]


def test_derivative_source_and_order() -> None:
    act = activation("swish")
    assert act.derivative(0) == act.expr
    assert sympy.simplify(act.derivative(2) - sympy.diff(act.expr, act.x, 2)) == 0
    assert "\ndef swish_d1(input):\n" in act.source(order=1)
    with pytest.raises(CosnbError, match=r"order of a derivative must be 0 or more, got -1"):
        act.derivative(-1)
    with pytest.raises(CosnbError, match=r"unknown target 'cobol': the targets are pytorch, triton, c, numpy, "):
        act.source("cobol")


def test_properties_cannot_be_changed() -> None:
    act = activation("swish")
    with pytest.raises(TypeError):
        act.properties()["limits"] = None  # type: ignore[index]
    assert act.properties()["limits"].value == (0, sympy.oo)


# Copies


@pytest.mark.parametrize("name", ["relu", "cos"])
def test_module_copies_pickles_and_saves(name: str) -> None:
    x = points(5).detach()
    net = nn.Sequential(nn.Linear(5, 5).double(), activation(name).module())
    buffer = io.BytesIO()
    torch.save(net, buffer)
    buffer.seek(0)
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net)), torch.load(buffer, weights_only=False)]
    for other in copies:
        assert isinstance(other[1], ActivationModule)
        assert repr(other[1]) == repr(net[1])
        assert torch.equal(other(x), net(x))


def test_an_activation_copies_with_its_parameters() -> None:
    act = activation("cos", a=3, c="1/3")
    other = pickle.loads(pickle.dumps(act))
    assert isinstance(other, Activation)
    assert (other.expr, repr(other), other.source(order=1)) == (act.expr, repr(act), act.source(order=1))


def test_state_dict_is_empty_so_weights_move_between_activations() -> None:
    one = nn.Sequential(nn.Linear(3, 3), activation("cos").module())
    two = nn.Sequential(nn.Linear(3, 3), nn.ReLU())
    assert activation("cos").module().state_dict() == {}
    two.load_state_dict(one.state_dict())
    buffer = io.BytesIO()
    torch.save(one.state_dict(), buffer)
    buffer.seek(0)
    one.load_state_dict(torch.load(buffer, weights_only=True))


@QUIET
def test_an_unpickled_module_can_be_traced() -> None:
    # Nothing is prepared there but what unpickling prepares, and Dynamo cannot trace SymPy.
    torch._dynamo.reset()
    module = pickle.loads(pickle.dumps(activation("swish").module()))
    x = torch.ones(2, requires_grad=True)
    torch.compile(module, fullgraph=True, backend="aot_eager")(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, activation("swish").elementwise(1)(torch.ones(2)))


# swap


def test_swap_replaces_every_place_and_counts_them() -> None:
    shared = nn.ReLU()
    net = nn.Sequential(nn.Linear(2, 2), shared, nn.Sequential(nn.ReLU(), nn.GELU(), shared), shared)
    assert swap(net, nn.ReLU, "cos", a=3) == 4
    assert not any(isinstance(module, nn.ReLU) for module in net.modules())
    assert len(re.findall(r"activation\('cos', a=3, c=1/2\)", str(net))) == 4
    assert isinstance(net[2][1], nn.GELU)


def test_swap_keeps_weights_and_leaves_subclasses_alone() -> None:
    class Mine(nn.ReLU):
        pass

    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Mine(), nn.ReLU6())
    weights = net[0].weight
    assert swap(net, nn.ReLU, "swish") == 1
    assert net[0].weight is weights
    assert [type(module) for module in net][2:] == [Mine, nn.ReLU6]
    x = torch.randn(4, 2)
    torch.testing.assert_close(net(x), nn.functional.relu6(nn.functional.relu(nn.functional.silu(net[0](x)))))


def test_swap_refuses_where_there_is_nothing_to_replace() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.GELU())
    with pytest.raises(CosnbError, match=r"no ReLU inside Sequential: nothing to replace by 'cos'"):
        swap(net, nn.ReLU, "cos")
    with pytest.raises(CosnbError, match="unknown activation 'coz'"):
        swap(nn.Sequential(nn.ReLU()), nn.ReLU, "coz")
