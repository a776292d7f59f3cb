"""Exact count of the memory that a network keeps between forward and backward."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


def saved_bytes(net: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Return the bytes that `forward()` saves for backward, each storage counted once, `net`'s state not at all.

    A view counts with the whole of what it keeps alive. Weights and running statistics are left out, since they stay
    anyway. `forward` returns any tensor that gradients flow from, like the loss; no gradient is computed.
    """
    state = {tensor.untyped_storage().data_ptr() for tensor in (*net.parameters(), *net.buffers())}
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()  # kept alive by the graph until the end, so no address comes twice
        found[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # an operation that saves its own output would else hold itself for ever

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()
    total = sum(size for address, size in found.items() if address not in state)
    del output
    return total
