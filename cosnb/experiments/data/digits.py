"""scikit-learn's bundled handwritten digits (8 × 8, Alpaydin and Kaynak, 1998), shaped like CIFAR-10; no network."""

import numpy as np
import torch
from torch import Tensor

CLASSES: tuple[str, ...] = tuple("0123456789")
SCALE = 4  # each of the 8 × 8 pixels becomes 4 × 4
TEST_STRIDE = 5  # every fifth image of the list sorted by class is a test image


def read() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return training images, training labels, test images, test labels.

    Images: uint8 (1437 or 360, 3, 32, 32), the values 0 to 16 spread over 0 to 255, three equal channels; labels:
    int64. The split is fixed and stratified: the images sorted by class (stably), every fifth from the first on is
    a test image; both parts then keep the original order.
    """
    from sklearn.datasets import load_digits  # 0.7 s, which most notebooks do without

    source = load_digits()
    pixels = np.rint(source.images * (255 / 16)).astype(np.uint8)
    images = np.broadcast_to(pixels.repeat(SCALE, 1).repeat(SCALE, 2)[:, None], (len(pixels), 3, 32, 32))
    test = np.zeros(len(images), bool)
    test[np.argsort(source.target, kind="stable")[::TEST_STRIDE]] = True
    labels = source.target.astype(np.int64)
    parts = (images[~test], labels[~test], images[test], labels[test])
    train_images, train_labels, test_images, test_labels = (torch.from_numpy(np.ascontiguousarray(p)) for p in parts)
    return train_images, train_labels, test_images, test_labels
