"""Report on one activation: the content of its notebook, its HTML page, and the command that makes both."""
