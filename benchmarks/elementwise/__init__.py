"""Parts of `benchmarks/activations.py`: who is compared, the clock, the report."""
