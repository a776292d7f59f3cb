"""Measurements against cases worked out by hand: planes, parabolas, corners, counted bytes; and their records."""

import math

import pandas as pd
import pytest
import torch
from synthetic import run
from torch import nn

from cosnb.errors import CosnbError
from cosnb.experiments.diagnostics import cost, landscape, surface
from cosnb.experiments.records import measurement
from cosnb.experiments.results import curves, lottery, measurements
from cosnb.experiments.results.provenance import provenance


def linear(*weights):
    """Return a network 2–1 of one linear layer with these weights, and ReLU after it."""
    net = nn.Sequential(nn.Linear(2, 1), nn.ReLU()).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([weights[:2]]))
        net[0].bias.fill_(weights[2])
    return net


class TestLandscape:
    def test_a_plane_does_not_turn(self):
        view = landscape.view(linear(1.0, 2.0, 1.0), 11)
        assert (view.mean_turn, view.largest_turn, view.flat, view.kinks, view.crossings) == (0, 0, 0, 0, 0)
        assert view.heights[0, 10] == 11  # x = 10, y = 0
        assert view.heights[10, 0] == 21
        assert view.slopes[3, 3] == pytest.approx(math.sqrt(5))

    def test_a_crease_is_a_kink_and_a_crossing(self):
        # max(0, x − 4.5) on 11 × 11 points: flat in 5 of 11 columns, one crossing in each of 11 rows of 220 pairs.
        view = landscape.view(linear(1.0, 0.0, -4.5), 11)
        assert view.flat == 5 / 11
        assert view.kinks == 1.0
        assert view.crossings == 11 / 220
        assert view.mean_turn == 0  # no direction where the gradient is zero

    def test_angles_are_those_between_vectors(self):
        first = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 0]])
        second = torch.tensor([[0.0, 2], [-3, 0], [1, 1], [1, 0]])
        assert landscape._angles(first, second).tolist() == pytest.approx([90, 180, 45])

    def test_one_seed_is_the_same_weights_and_smooth_surfaces_have_no_kink(self):
        coarse, fine = (landscape.look("swish", 3, points) for points in (40, 80))
        assert landscape.look("swish", 3, 40).numbers() == coarse.numbers()
        assert coarse.kinks / fine.kinks == pytest.approx(2, abs=0.3)
        relu = [landscape.look("relu", 2, points) for points in (40, 80)]
        assert relu[0].kinks / relu[1].kinks == pytest.approx(1, abs=0.3)

    def test_one_point_has_no_neighbours(self):
        with pytest.raises(CosnbError, match="points is 1"):
            landscape.look("relu", 0, 1)


class TestSurface:
    def net(self):
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 10))

    def test_a_direction_has_each_filter_s_norm(self):
        net = self.net()
        steps = surface.direction(net, 5)
        for parameter, step in zip(net.parameters(), steps, strict=True):
            if parameter.ndim > 1:
                assert step.flatten(1).norm(dim=1) == pytest.approx(parameter.detach().flatten(1).norm(dim=1), rel=1e-5)
            else:
                assert not step.any()
        assert torch.equal(surface.direction(net, 5)[0], steps[0])
        assert not torch.equal(surface.direction(net, 6)[0], steps[0])

    def test_losses_are_those_of_moved_weights_and_the_net_stays(self):
        net = self.net()
        before = [parameter.clone() for parameter in net.parameters()]
        images, labels = torch.randint(0, 256, (6, 1, 4, 4), dtype=torch.uint8), torch.arange(6)
        ways = [surface.direction(net, seed) for seed in (1, 2)]
        line = surface.losses(net, images, labels, [-1, 0, 1], ways[:1])
        plane = surface.losses(net, images, labels, [-1, 0, 1], ways)
        assert plane.shape == (3, 3)
        assert plane[1].tolist() == pytest.approx(line.tolist())
        assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
        assert net.training
        for parameter, step in zip(net.parameters(), ways[0], strict=True):
            parameter.data += step
        moved = surface.losses(net, images, labels, [0], ways[:1])
        assert float(moved[0]) == pytest.approx(float(line[2]), rel=1e-6)

    def test_lines_and_planes_only(self):
        with pytest.raises(CosnbError, match="1 or 2 directions"):
            surface.losses(self.net(), torch.zeros(1), torch.zeros(1), [0], [])

    @pytest.mark.parametrize("points", [21, 201])
    def test_roughness_of_a_line_a_parabola_and_ripples(self, points):
        x = torch.linspace(-1, 1, points, dtype=torch.float64)
        assert surface.roughness(3 * x + 1) == pytest.approx(0, abs=1e-9)
        assert surface.roughness(5 * x**2) == pytest.approx(8, rel=0.06)
        assert surface.roughness(x**2 + 0.1 * torch.cos(12 * x)) > 16
        assert math.isnan(surface.roughness(x / 0))

    def test_a_corner_keeps_its_bend_on_a_finer_line(self):
        bends = {}
        for points in (41, 401):
            x = torch.linspace(-1, 1, points, dtype=torch.float64)
            bends[points] = surface.largest_bend((x - 0.001).abs()), surface.largest_bend(x**2)
        assert bends[41][0] == pytest.approx(bends[401][0], rel=0.5)
        assert bends[41][1] == pytest.approx(10 * bends[401][1], rel=0.1)


class TestCost:
    def test_plain_and_compiled_are_the_same_function(self):
        x = torch.linspace(-5, 5, 101)
        for name in (*cost.NAMES, "relu6"):
            torch.testing.assert_close(cost.PLAIN[name](x), cost.activation(name)(x), atol=2e-6, rtol=2e-6)

    def test_unknown_kinds_are_refused(self):
        with pytest.raises(CosnbError, match="fast"):
            cost.make("squeezenet", "cos", "fast")


class TestRecords:
    def test_measured_once_and_kept(self, tmp_path):
        calls = []

        def measure(settings, seed):
            calls.append(seed)
            return {"value": settings["points"] + seed}

        settings = [{"activation": name, "points": 4} for name in ("relu", "cos")]
        for _ in range(2):
            measurement.measure_missing("some", settings, [0, 1], measure, landscape, root=tmp_path)
        assert calls == [0, 0, 1, 1]
        from cosnb.experiments import results

        records = results.read("some", tmp_path)
        assert measurements.measured(records, "value") == {"cos": {0: 4, 1: 5}, "relu": {0: 4, 1: 5}}
        assert measurements.paired(measurements.measured(records, "value"), "cos", "relu") == [0, 0]
        assert records[0]["code"] == "cosnb.experiments.diagnostics.landscape"
        assert records[0]["commit"] is None or len(records[0]["commit"]) == 40
        assert "4 measurements, seeds 0 to 1 (CoS 2, ReLU 2)" in str(provenance(records))
        more = [{"activation": "relu", "points": 9}]
        measurement.measure_missing("some", more, [0], measure, landscape, root=tmp_path)
        assert measurements.largest(results.read("some", tmp_path)) == records
        assert measurements.largest([]) == []


class TestCurves:
    def test_the_area_is_the_mean_height_over_the_logarithm(self):
        curve = pd.DataFrame({0.001: {0: 10.0, 1: 5.0}, 0.01: {0: 30.0, 1: 5.0}, 1.0: {0: 30.0, 2: 9.0}})
        assert dict(curves.areas(curve)) == {0: pytest.approx((20 + 2 * 30) / 3)}
        assert curves.areas(pd.DataFrame({1.0: {0: 3.0}})).empty
        assert curves.areas(pd.DataFrame()).empty

    def test_flatness_is_blind_to_height(self):
        level = pd.DataFrame({0.1: {0: 30.0, 1: 60.0}, 1.0: {0: 30.0, 1: 60.0}})
        assert dict(curves.flatness(level)) == {0: 0.0, 1: 0.0}
        uneven = pd.DataFrame({0.1: {0: 20.0}, 1.0: {0: 40.0, 1: 3.0}, 2.0: {0: 35.0}})
        assert dict(curves.flatness(uneven)) == {0: -20.0}
        assert curves.flatness(pd.DataFrame({0.1: {0: 20.0}})).empty
        assert curves.flatness(pd.DataFrame()).empty

    def test_places_at_which_a_run_did_not_learn_are_left_out_for_all(self):
        relu = pd.DataFrame({1.0: {0: 60.0, 1: 61.0}, 2.0: {0: 70.0, 1: 20.0}, 3.0: {0: 80.0}})
        cos = pd.DataFrame({1.0: {0: 50.0, 1: 19.9}, 2.0: {0: 20.0, 1: 70.0}})
        kept = curves.learnt({"relu": relu, "cos": cos})
        assert {name: curves.samples(curve) for name, curve in kept.items()} == {
            "relu": {2.0: [70.0, 20.0]},
            "cos": {2.0: [20.0, 70.0]},
        }
        none = curves.learnt({"relu": relu, "cos": pd.DataFrame()})
        assert [list(curve) for curve in none.values()] == [[], []]
        assert curves.learnt({}) == {}

    def test_training_accuracy_is_the_last_epoch_s(self):
        record = run("squeezenet", "cos", 0, 60, 1.0, epochs=2, lr=0.1)
        record["epochs"][-1]["train_accuracy"] = 0.25
        for status, accuracy in (("ok", 25.0), ("diverged", 10.0)):
            found = curves.curves([record | {"status": status}], "lr", "train_accuracy")
            assert {name: curve.to_dict() for name, curve in found.items()} == {"cos": {0.1: {0: accuracy}}}
        assert curves.curves([record | {"status": "failed"}], "lr") == {}

    def test_means_from_a_value_on(self):
        curve = pd.DataFrame({15.0: {0: 1.0}, 20.0: {0: 3.0, 1: 4.0}, 25.0: {0: 5.0, 1: 4.0}})
        assert dict(curves.means_from(curve, 20)) == {0: 4.0, 1: 4.0}
        assert curves.means_from(pd.DataFrame(), 0).empty

    def test_spread_is_in_decades(self):
        assert curves.spread([0.1, 1.0, 10.0]) == pytest.approx(2)
        assert curves.spread([0.0, 1.0]) == math.inf
        assert math.isnan(curves.spread([math.nan, 1.0]))

    def test_growth_leaves_the_first_and_the_last_layer_out(self):
        assert curves.growth([9.0, 8.0, 4.0, 2.0, 7.0]) == pytest.approx(2)
        assert math.isnan(curves.growth([1.0, 2.0, 3.0]))
        assert math.isnan(curves.growth([1.0, 2.0, 3.0, 0.0, 1.0]))


class TestLottery:
    def test_all_draws_are_counted(self):
        from synthetic import run

        runs = {"relu": (50, 52), "swish": (51, 53), "cos": (52, 54)}
        records = [run("squeezenet", n, s, a, 1.0, epochs=1) for n, pair in runs.items() for s, a in enumerate(pair)]
        draw = lottery.draw(records, 2.0)
        # Of 8 draws relu < swish < cos holds in (50, 51, 52), (50, 51, 54), (50, 53, 54), (52, 53, 54).
        assert (draw.runs, draw.order) == ((2, 2, 2), 4 / 8)
        assert draw.best == 5 / 8  # also (52, 51, 54); 52 and 52 is no lead
        assert draw.gap == 6 / 8  # 52 − 50, 54 − 50, 54 − 52, each with two of Swish
        assert lottery.all_tables({"a": draw, "b": draw}, "order") == 1 / 4

    def test_a_missing_arm_leaves_the_chance_open(self):
        draw = lottery.draw([], 1.0)
        assert (draw.order, draw.best, draw.gap) == (None, None, None)
        assert lottery.all_tables({"a": draw}, "best") is None

    def test_if_nothing_made_a_difference(self):
        assert lottery.by_chance() == {"order": pytest.approx(1 / 216), "best": pytest.approx(1 / 27)}
