"""Compiled elementwise functions and the PyTorch operators that call them."""
