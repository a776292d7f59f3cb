"""What P reports: Tables 1 to 3, one run of each (Han and Kang 2021, section IV)."""

from typing import NamedTuple


class Reported(NamedTuple):
    """One column of a table of P: seconds an epoch (device not named), test loss, test accuracy in percent."""

    seconds: float
    loss: float
    accuracy: float


TABLES: dict[str, dict[str, Reported]] = {
    "shufflenet_v2": {
        "relu": Reported(36, 0.4673, 87.59),
        "swish": Reported(39, 0.4646, 87.72),
        "cos": Reported(46, 0.4514, 88.36),
    },
    "mobilenet_v2": {
        "relu": Reported(47, 0.4667, 87.39),
        "swish": Reported(55, 0.4415, 87.44),
        "cos": Reported(72, 0.4561, 87.85),
    },
    "squeezenet": {
        "relu": Reported(32, 0.4193, 88.58),
        "swish": Reported(36, 0.3810, 88.80),
        "cos": Reported(45, 0.3927, 89.18),
    },
}
