"""Measurements without training or after it: landscapes, loss surfaces, cost."""
