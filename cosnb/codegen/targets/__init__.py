"""Targets: one module for each language that a `Program` is printed in."""
