"""Parts of `benchmarks/activations.py`: contestants, clock and report."""
