"""Tracers besides torch.compile, and nested tensors: they take an activation as they take `nn.Mish`."""

import copy
import importlib
import io
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx, nn
from torch._dynamo.testing import CompileCounter

from cosnb import activation, export
from cosnb.activations import LearnableModule
from cosnb.symbolic.catalogue import CATALOGUE

# PyTorch's own, of tools that it is about to leave
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("DeprecationWarning", "FutureWarning", "UserWarning")
]
MODULES = {
    "name": activation("mish").module(),
    "text": activation("x*sigmoid(a*x) + b", a=2, b="1/3").module(),
    "learnable": activation("cos").module(learnable=True),
    "kink": activation("elu").module(),
}
POINTS = torch.tensor([-1e4, -90.0, -6.0, -1.0, -1e-3, -0.0, 0.0, 1e-3, 1.0, 6.0, 90.0, 1e4])


class Net(nn.Module):
    """An activation as a module, another called as a function."""

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.linear, self.act, self.gate = nn.Linear(3, 3), act, activation("tanh")

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 3) of (B, 3)."""
        return self.gate(self.act(self.linear(x)))


@pytest.mark.parametrize("kind", MODULES)
def test_torch_fx_has_a_leaf_inside_and_a_call_at_the_root(kind: str) -> None:
    act, x = MODULES[kind], torch.randn(4, 3)
    net = Net(act)
    graph = fx.symbolic_trace(net)
    assert [node.target for node in graph.graph.nodes if node.op == "call_module"] == ["linear", "act"]
    root = fx.symbolic_trace(act)
    for module, traced in ((net, graph), (act, root)):
        for copied in (traced, copy.deepcopy(traced), pickle.loads(pickle.dumps(traced))):
            assert torch.equal(copied(x), module(x))
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    slopes = [torch.autograd.grad(f(v).sum(), v)[0] for f, v in zip((act, root), inputs, strict=True)]
    assert torch.equal(*slopes)


def test_tools_upon_torch_fx_find_the_leaf() -> None:
    from torch.ao.quantization import get_default_qconfig_mapping, quantize_fx

    class NamesOfNodes(fx.Tracer):  # as torchvision's create_feature_extractor has one
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.names = "", {}

        def call_module(self, m: nn.Module, forward: object, args: tuple, kwargs: dict) -> object:
            self.inside = self.path_of_module(m)
            return super().call_module(m, forward, args, kwargs)  # type: ignore[arg-type]

        def create_proxy(self, *args: object, **kwargs: object) -> object:
            proxy = super().create_proxy(*args, **kwargs)  # type: ignore[arg-type]
            self.names[proxy.node.name] = (self.inside, proxy.node.op)
            return proxy

    net, tracer = Net(activation("mish").module()), NamesOfNodes()
    tracer.trace(net)
    assert tracer.names["act"] == ("act", "call_module")
    x = torch.randn(64, 3)
    prepared = quantize_fx.prepare_fx(net.eval(), get_default_qconfig_mapping(), (x,))
    torch.testing.assert_close(prepared(x), net(x))
    assert "act" in dict(prepared.named_modules())


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("needs", [True, False])
def test_a_trace_has_the_values_and_slopes_and_loads_without_cosnb(kind: str, needs: bool, tmp_path: Path) -> None:
    act = MODULES[kind]
    with torch.set_grad_enabled(needs):
        traced = torch.jit.trace(act, POINTS[1:-1].clone().requires_grad_(needs))
    torch.jit.save(traced, tmp_path / "act.pt")
    loaded = torch.jit.load(tmp_path / "act.pt")
    for _ in range(3):  # the first runs only profile the graph
        values = []
        for module in (act, loaded):
            x = POINTS.clone().requires_grad_()
            y = module(x)
            values.append((y.detach(), *torch.autograd.grad(y.sum(), (x, *module.parameters()))))
        for got, expected in zip(*reversed(values), strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-7)
    code = f"import sys, torch; f = torch.jit.load({str(tmp_path / 'act.pt')!r}); assert 'cosnb' not in sys.modules; "
    code += "print(f(torch.tensor([1.5])).item())"
    bare = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert bare.returncode == 0, bare.stderr
    assert float(bare.stdout) == pytest.approx(act(torch.tensor([1.5])).item(), rel=1e-6)


@pytest.mark.parametrize("name", CATALOGUE)
def test_slopes_of_a_recorded_graph_are_the_symbolic_ones(name: str) -> None:
    act = activation(name)
    for dtype, close in ((torch.float32, 1e-3), (torch.float64, 1e-9)):
        x = POINTS.to(dtype, copy=True).requires_grad_()
        recorded = act.kernel(0).recorded(x)
        torch.testing.assert_close(recorded.detach(), act(x).detach(), rtol=close, atol=1e-6 * close)
        (slope,) = torch.autograd.grad(recorded.sum(), x)
        torch.testing.assert_close(slope, act.elementwise(1)(x.detach()), rtol=close, atol=1e-6 * close)


@pytest.mark.parametrize("dynamo", [False, True], ids=["by trace", "by export"])
@pytest.mark.parametrize("kind", ["kink", "nlrelu", "softplus", "gelu", "learnable", "symlog", "learnable softplus"])
def test_onnx_gives_the_values(kind: str, dynamo: bool) -> None:
    runtime, _ = pytest.importorskip("onnxruntime"), pytest.importorskip("onnxscript")
    name = kind.split()[-1]
    act = MODULES[kind] if kind in MODULES else activation(name).module(learnable=kind.startswith("learnable"))
    x = torch.cat([POINTS, torch.tensor([1e-7, 3e-6, -1e-7, -12.0])])
    file = io.BytesIO()
    torch.onnx.export(act, (x,), file, dynamo=dynamo, **({"verbose": False} if dynamo else {"opset_version": 17}))
    session = runtime.InferenceSession(file.getvalue())
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    tail = 1e-7 if kind == "gelu" else 1e-30  # ONNX has no erfc
    torch.testing.assert_close(torch.from_numpy(y), act(x).detach(), rtol=1e-5, atol=tail)


@pytest.mark.parametrize("kind", MODULES)
def test_jagged_nested_tensors(kind: str) -> None:
    act, rows = MODULES[kind], [torch.randn(2, 3), torch.randn(4, 3)]
    for turn in (False, True):
        x = torch.nested.nested_tensor(rows, layout=torch.jagged, requires_grad=True)
        y = act(x.transpose(1, 2) if turn else x)
        (y + (x.transpose(1, 2) if turn else x)).values().sum().backward()  # of one shape, or + refuses
        v = torch.cat(rows).requires_grad_()
        act(v).sum().backward()
        torch.testing.assert_close(x.grad.values(), v.grad + 1)
        torch.testing.assert_close(y.transpose(1, 2).values() if turn else y.values(), act(v))
        with torch.no_grad():
            assert torch.equal(act(x).values(), act(x.values()))


@pytest.mark.parametrize("name", ["mish", "elu", "gelu", "softplus"])
def test_the_exported_file_goes_through_the_same(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / f"my_{name}.py").write_text(export.python_text(activation(name), f"my_{name}"))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(f"my_{name}")
    act, function = getattr(module, export.module_name(f"my_{name}"))(), getattr(module, f"my_{name}")
    net = nn.Sequential(nn.Linear(3, 3), act)
    x = torch.randn(4, 3)
    assert torch.equal(fx.symbolic_trace(net)(x), net(x))
    with io.BytesIO() as file:
        torch.jit.save(torch.jit.trace(act, x), file)
        file.seek(0)
        loaded = torch.jit.load(file)
    v, w = (POINTS.clone().requires_grad_() for _ in range(2))
    y, expected = loaded(v), function(w)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        *(torch.autograd.grad(f.sum(), u)[0] for f, u in ((y, v), (expected, w))), rtol=1e-4, atol=1e-6
    )
    nested = torch.nested.nested_tensor([x, x[:2]], layout=torch.jagged)
    torch.testing.assert_close(function(nested).values(), function(torch.cat([x, x[:2]])))
    runtime, file = pytest.importorskip("onnxruntime"), io.BytesIO()
    torch.onnx.export(act, (x,), file, dynamo=False, opset_version=17)
    session = runtime.InferenceSession(file.getvalue())
    (y,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(y), act(x), rtol=1e-5, atol=1e-6)


def test_activations_read_from_ten_files_are_one_and_compile_once() -> None:
    for act in (activation("cos", a=3), activation("x*sigmoid(a*x)", a=3)):
        read = [pickle.loads(pickle.dumps(act.module())) for _ in range(10)]
        assert all(module.activation is act for module in read)
    assert activation("cos", a=3) != activation("cos", a=4)
    assert activation("cos", a=3) != activation("cos", a=3).module()
    torch._dynamo.reset()
    counter = CompileCounter()
    blocks = [torch.compile(module, backend=counter, fullgraph=True) for module in read]
    with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
        for block in blocks:
            block(torch.ones(3))
    assert counter.frame_count == 1
    torch._dynamo.reset()


def test_a_learnable_module_in_a_trace_keeps_its_parameters() -> None:
    module = LearnableModule(activation("swish"))
    traced = torch.jit.trace(module, torch.ones(3))
    with torch.no_grad():
        traced.beta.fill_(2)
        x = torch.tensor([1.0, -2.0])
        torch.testing.assert_close(traced(x), x * torch.sigmoid(2 * x))
