"""cosnb: from an activation function's formula to derivatives, properties, code and an honest experiment."""

from cosnb.activation import Activation, activation, swap
from cosnb.errors import CosnbError

__all__ = ["Activation", "CosnbError", "activation", "swap"]
__version__ = "0.1.0"
