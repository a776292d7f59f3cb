"""Code generation: a SymPy expression into a `Program`, and a `Program` into the code of each target."""
