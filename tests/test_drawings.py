"""Figures 1 to 3: every unit, weight and label is there, none covers another, none leaves the paper."""

from itertools import combinations

import pytest

from cosnb.book import plots
from cosnb.book.plots import drawings
from cosnb.book.plots.drawings import Stage
from cosnb.errors import CosnbError

STAGES = (
    Stage("image", (1, 32, 32)),
    Stage("convolution,\nactivation", (6, 28, 28), 5),
    Stage("pooling", (6, 14, 14), 2),
    Stage("fully connected,\nactivation", (84,)),
    Stage("fully\nconnected", (10,)),
)
MAKERS = {
    "convolutional": lambda: drawings.convolutional(STAGES),
    "layers": lambda: drawings.layers([3, 4, 4, 2]),
    "passes": lambda: drawings.passes(3),
}
each_drawing = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def count(figure, gid):
    return sum(artist.get_gid() == gid for artist in (*figure.axes[0].patches, *figure.axes[0].lines))


@each_drawing
def test_no_label_covers_another_or_leaves_the_paper(make):
    figure = make()
    figure.draw_without_rendering()
    boxes = [(text.get_text(), text.get_window_extent()) for text in figure.axes[0].texts]
    assert len(boxes) >= 8
    assert [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)] == []
    paper = figure.bbox
    outside = [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > paper.x1 or box.y1 > paper.y1]
    assert outside == []


@each_drawing
def test_a_drawing_is_vector_and_the_same_bytes_each_time(make, tmp_path):
    written = []
    for name in ("a.svg", "b.svg"):
        plots.save_svg(make(), tmp_path / name)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
    assert b"<image" not in written[0]


def test_a_convolutional_network_has_its_steps_and_shapes():
    figure = drawings.convolutional(STAGES)
    assert {"pooling", "1 × 32 × 32", "6 × 14 × 14", "84", "10"} <= set(texts(figure))
    assert count(figure, "sheet") == 1 + 5 + 5  # at most five of a stack
    assert count(figure, "unit") == 8 + 10  # of 84 two are dots


def test_maps_shrink_with_their_shape():
    patches = drawings.convolutional(STAGES).axes[0].patches
    sides = list(dict.fromkeys(patch.get_width() for patch in patches if patch.get_gid() == "sheet"))
    assert sides == sorted(sides, reverse=True)
    assert sides[2] / sides[1] == pytest.approx((14 / 28) ** 0.5)


def test_layers_have_every_unit_and_every_weight():
    figure = drawings.layers([3, 4, 4, 2])
    assert count(figure, "unit") == 3 + 4 + 4 + 2
    assert count(figure, "weight") == 3 * 4 + 4 * 4 + 4 * 2
    assert texts(figure)[:4] == ["input\nlayer", "hidden\nlayer 1", "hidden\nlayer 2", "output\nlayer"]


def test_passes_name_each_layers_output_and_gradients():
    shown = texts(drawings.passes(2))
    for number in (1, 2):
        assert f"$y_{number}$" in shown
        assert rf"$\frac{{\partial L}}{{\partial W_{number}}}$" in shown
    assert not any("y_3" in text for text in shown)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(CosnbError, match=r"'flat' is \(2, 3\)"):
        drawings.convolutional([Stage("flat", (2, 3))])
    with pytest.raises(CosnbError, match="at least two layers"):
        drawings.layers([3])
    with pytest.raises(CosnbError, match="From 1 to 4 layers"):
        drawings.passes(5)
