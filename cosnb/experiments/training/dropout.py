"""Dropout with masks from a run's own generator, drawn before the network is called."""

import torch
from torch import Tensor, nn


class SeededDropout(nn.Module):
    """As `nn.Dropout(p)`, but the mask is drawn beforehand by `draw_masks`.

    So a run's masks are the same whether it trains alone or beside others, a compiled network draws nothing, and the
    generator's state is all that a checkpoint must keep.
    """

    keep: Tensor

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p
        self.shape: tuple[int, ...] | None = None  # of one image's input, known after a first call
        self.register_buffer("keep", torch.empty(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return x (B, …), in training mode times the mask of its first B rows."""
        if not self.training:
            self.shape = tuple(x.shape[1:])
            return x
        return x * self.keep[: len(x)].to(x.dtype)

    def draw(self, keep: Tensor, generator: torch.Generator) -> None:
        """Fill `keep` (rows, …) with 0, with probability p, or 1 / (1 − p)."""
        keep.bernoulli_(1 - self.p, generator=generator).div_(1 - self.p)


def seed_dropout(net: nn.Module, image: Tensor, batch_size: int) -> list[SeededDropout]:
    """Replace each `nn.Dropout` inside `net` in place and return the new modules, their masks allocated.

    image: one input (1, C, H, W), which is sent through the network in evaluation mode to learn the masks' shapes.
    """
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Dropout:
                setattr(parent, name, SeededDropout(child.p))
    layers = [module for module in net.modules() if isinstance(module, SeededDropout)]
    if layers:
        mode = net.training
        with torch.no_grad():
            net.eval()(image)
        net.train(mode)
    for layer in layers:
        assert layer.shape is not None
        layer.keep = torch.ones((batch_size, *layer.shape), device=image.device)
    return layers
