"""First cell of a notebook on Colab: the device, the full profile's parameters, where records and images lie."""

import os
import sys
from pathlib import Path

from cosnb.book.parameters import check_injected
from cosnb.experiments.registry import read_runs
from cosnb.paths import results_dir

DRIVE = Path("/content/drive/MyDrive")  # where Colab mounts a user's drive
# No folder there is called cosnb: beside a notebook it would look like the package.
RECORDS, IMAGES = "cosnb-records", "cosnb-data"


def setup(notebook: str) -> None:
    """Print device, profile and folders on Colab; in any kernel, have the notebook check its parameters.

    `notebook` is its name in the registry; where there is a GPU, its full profile is suggested. Records go to a mounted
    drive unless COSNB_RESULTS names a folder. Images are read from the drive's folder `cosnb-data`, where it exists,
    unless COSNB_DATA names one.
    """
    if "IPython" in sys.modules:
        check_injected(notebook)
    if "google.colab" not in sys.modules:
        return
    import torch

    from cosnb.experiments.training.device import describe_device

    gpu = torch.cuda.is_available()
    entry = read_runs()[notebook]
    full, wants_gpu = entry.parameters["full"], entry.gpu
    print(f"Device: {describe_device('cuda' if gpu else 'cpu')['name']}. Profile: quick, the parameters as they stand.")
    if full and (gpu or not wants_gpu):
        print("The full profile, hours of work, is these parameters in their place:")
        print("\n".join(f"    {name} = {value!r}" for name, value in full.items()))
    elif full:
        print("The full profile wants a GPU: choose one under Runtime, Change runtime type, and run this cell again.")
    if full.get("keep"):
        print(_place_records())
    if not os.environ.get("COSNB_DATA") and (DRIVE / IMAGES).is_dir():
        os.environ["COSNB_DATA"] = str(DRIVE / IMAGES)
        print(f"Images are read from {DRIVE / IMAGES}, and downloaded there.")


def _place_records() -> str:
    if not os.environ.get("COSNB_RESULTS") and DRIVE.is_dir():
        os.environ["COSNB_RESULTS"] = str(DRIVE / RECORDS)
    if os.environ.get("COSNB_RESULTS"):
        return f"Records (keep = True) go to {results_dir()}."
    return (
        f"Records (keep = True) go to {results_dir()}, which is lost with this machine. To keep them, run\n"
        '    from google.colab import drive; drive.mount("/content/drive")\nand this cell again.'
    )
