"""Batch normalisations and the activations that a model calls right after them."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from torch import fx, nn

from cosnb.activations import ActivationModule, LearnableModule
from cosnb.kernels.torch_internals import BatchNorm
from cosnb.nn.calls import own_graph

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
Place = tuple[nn.Module, str]
# A normalisation, its activation, and its place in a Sequential, None where a forward calls it.
Pair = tuple[BatchNorm, ActivationModule, Place | None]


@dataclass
class _Calls:
    """What follows each normalisation, in one mode: by its id, a module or a few words, at each of its calls."""

    followers: dict[int, list[nn.Module | str]] = field(default_factory=dict)
    places: dict[int, Place | None] = field(default_factory=dict)

    def add(self, norm: nn.Module, follower: nn.Module | str, place: Place | None = None) -> None:
        self.followers.setdefault(id(norm), []).append(follower)
        self.places[id(norm)] = place


def find_pairs(model: nn.Module, kinds: tuple[type[nn.Module], ...]) -> tuple[list[Pair], dict[str, str]]:
    """Return the pairs whose normalisations are of `kinds`, and {name: why not} of the other normalisations."""
    modules = list(model.modules())
    norms = {name: module for name, module in model.named_modules() if isinstance(module, BatchNorm)}
    places = Counter(id(child) for parent in modules for child in parent._modules.values())
    calls = [_calls(modules, training) for training in (False, True)]
    pairs: list[Pair] = []
    left = {}
    for name, norm in norms.items():
        reason = _reason(norm, kinds, places[id(norm)], *calls)
        if reason is None:
            (activation,) = calls[0].followers[id(norm)]
            pairs.append((norm, activation, calls[0].places[id(norm)]))  # type: ignore[arg-type]
        elif type(norm).__name__[:-2] != "BatchNormActivation":
            left[name] = reason
    return pairs, left


def _reason(
    norm: nn.Module, kinds: tuple[type[nn.Module], ...], places: int, evaluation: _Calls, training: _Calls
) -> str | None:
    """Return why `norm` cannot be joined with what follows it; None where it can."""
    followers = evaluation.followers.get(id(norm), ["not called by a forward that torch.fx can trace"])
    follower = followers[0]
    if type(norm) not in kinds:
        return f"{type(norm).__name__} is no BatchNorm of PyTorch's own"
    if places > 1 or len(followers) > 1:
        return "it stands at several places, or is called several times"
    if isinstance(follower, str):
        return follower
    if isinstance(follower, LearnableModule):
        return "the activation after it learns"
    if not isinstance(follower, ActivationModule):
        return f"{type(follower).__name__} follows, no activation of cosnb"
    if any(getattr(module, hook) for module in (norm, follower) for hook in _HOOKS):
        return "it or the activation after it has hooks"
    if training.followers.get(id(norm)) != followers:
        return "its activation follows in evaluation alone"
    return None


def _calls(modules: list[nn.Module], training: bool) -> _Calls:
    calls = _Calls()
    for parent in modules:
        if isinstance(parent, nn.Sequential) and type(parent).forward is nn.Sequential.forward:
            for (_, module), (key, following) in pairwise([*parent._modules.items(), ("", None)]):
                if isinstance(module, BatchNorm):
                    calls.add(module, following or "it is the last of its Sequential", (parent, key))
        elif any(isinstance(module, BatchNorm) for module in parent.modules() if module is not parent):
            _add_graph(calls, parent, own_graph(parent, training))
    return calls


def _add_graph(calls: _Calls, parent: nn.Module, graph: fx.Graph | str) -> None:
    if isinstance(graph, str):
        for child in parent._modules.values():
            if isinstance(child, BatchNorm):
                calls.add(child, f"torch.fx cannot trace the forward of {type(parent).__name__}: {graph}")
        return
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(norm := parent.get_submodule(str(node.target)), BatchNorm):
            users = list(node.users)
            if len(users) != 1:
                calls.add(norm, f"{len(users)} operations take its output")
            elif users[0].op == "call_module":
                calls.add(norm, parent.get_submodule(str(users[0].target)))
            else:
                calls.add(norm, f"{getattr(users[0].target, '__name__', users[0].target)} follows, no module")
