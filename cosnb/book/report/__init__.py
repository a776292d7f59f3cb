"""A report on one activation: what its notebook shows, the HTML page made of it, and the command that does both."""
