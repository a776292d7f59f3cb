"""One module a target; each turns a SymPy expression into code that computes it."""
