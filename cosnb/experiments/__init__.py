"""Experiments: data, networks, training, records, and what the records say."""
