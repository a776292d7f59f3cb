"""Networks that PyTorch users bring: activations swapped in, BatchNorm fused with what follows it."""
