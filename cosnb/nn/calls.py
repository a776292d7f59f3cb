"""A module's own calls: its forward traced by torch.fx with every module inside as a leaf."""

import copy
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from torch import fx, nn


class _OwnForward(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def own_graph(module: nn.Module, training: bool) -> fx.Graph | str:
    """Return the graph of `module`'s own forward in that mode, or why torch.fx has none, in a few words.

    Targets of calls are paths from `module`. Neither the module nor PyTorch's random numbers are changed.
    """
    trial = copy.copy(module)  # what forward sets or counts, it sets in a copy
    vars(trial).update(
        _parameters=dict(module._parameters),
        _buffers={name: buffer if buffer is None else buffer.clone() for name, buffer in module._buffers.items()},
        _modules=dict(module._modules),
        training=training,
    )
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=()):
            warnings.simplefilter("ignore")
            return _OwnForward().trace(trial)
    except Exception as error:  # torch.fx raises of every kind where a forward branches on its input
        return str(error).partition("\n")[0][:100] or type(error).__name__


def functional_calls(model: nn.Module, classes: Sequence[type[nn.Module]]) -> list[tuple[str, str]]:
    """Return ("2 calls of relu", "the forward of BasicConv2d") for functions that compute what modules of `classes` do.

    A module whose forward torch.fx cannot trace counts by the functions among its attributes alone, as the `activation`
    of nn.TransformerEncoderLayer. Calls are counted once a module.
    """
    wanted = {_plain(kind.__name__) for kind in classes}
    found: Counter[tuple[str, str]] = Counter()
    for module in model.modules():
        if not isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict, *classes)):
            for name in _called(module):
                if _plain(name) in wanted:
                    found[name.strip("_"), type(module).__name__] += 1
    return [
        (f"{n} call{'s' * (n > 1)} of {name}", f"the forward of {kind}") for (name, kind), n in sorted(found.items())
    ]


def _plain(name: str) -> str:
    """Return relu of relu_ and ReLU, leakyrelu of leaky_relu and LeakyReLU, gelu of GELUActivation."""
    return name.replace("_", "").lower().removesuffix("activation")


def _called(module: nn.Module) -> Iterator[str]:
    """Yield the names of the functions and methods that the module's own forward calls."""
    graph = "PyTorch's own" if type(module).__module__.startswith("torch.nn.") else own_graph(module, module.training)
    if isinstance(graph, str):
        yield from (getattr(v, "__name__", "") for v in vars(module).values() if not isinstance(v, type))
        return
    for node in graph.nodes:
        if node.op == "call_function":
            yield getattr(node.target, "__name__", "")
        elif node.op == "call_method":
            yield str(node.target)
