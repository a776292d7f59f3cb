"""Figures: what is drawn equals the formula or the records, jumps stay open, and equal figures are equal bytes."""

import dataclasses
import io
from dataclasses import dataclass

import matplotlib
import numpy as np
import pytest
import sympy

from cosnb.book import plots
from cosnb.errors import CosnbError
from cosnb.experiments.results.paper import printed_leads
from cosnb.experiments.results.paper_tables import Lead
from cosnb.experiments.results.summary import summarize
from cosnb.experiments.statistics import t_interval
from cosnb.symbolic import catalogue

NAMES = ("sigmoid", "tanh", "relu", "relu6", "swish", "mish", "cos")
BREAKS = {"relu": (0,), "relu6": (0, 6)}


@dataclass
class Formula:
    name: str
    x: sympy.Symbol
    expr: sympy.Expr

    def derivative(self, n=1):
        return self.expr.diff(self.x, n)


def formula(name):
    row = catalogue.get(name)
    return Formula(name, catalogue.x, row.expr.subs(row.parameters))


def line(figure, label):
    return next(line for line in figure.axes[0].lines if line.get_label() == label)


def svg(figure, path):
    plots.save_svg(figure, path)
    return path.read_bytes()


def record(activation, seed, accuracies, status="ok"):
    return {
        "config": {"activation": activation, "epochs": len(accuracies)},
        "seed": seed,
        "status": status,
        "epochs": [{"test_accuracy": a, "test_loss": 2 * (1 - a), "train_seconds": 1.0} for a in accuracies],
        "timing": {"method": "wall clock", "total_seconds": 1.0},
        "device": {"name": "a GPU"},
        "code_digest": "c0de",
    }


def runs(n=3, epochs=4):
    rng = np.random.default_rng(1)
    rise = 0.9 - 0.4 * 0.5 ** np.arange(epochs)
    return [record(name, seed, rise + rng.normal(0, 0.01, epochs)) for name in ("relu", "cos") for seed in range(n)]


class TestFormulas:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(("order", "label"), [(0, "$f(x)$"), (1, "$f'(x)$")])
    def test_lines_hold_the_formulas_values(self, name, order, label):
        activation = formula(name)
        figure = plots.function_and_derivative(activation, (-4, 8), BREAKS.get(name, ()))
        x, y = line(figure, label).get_data()
        expr = activation.derivative(order) if order else activation.expr
        for point in (-4, -2.5, -0.3, 0.7, 3, 7.9):
            at = int(np.nanargmin(np.abs(x - point)))
            expected = expr.subs(activation.x, sympy.Float(x[at], 40)).evalf(30)
            assert y[at] == pytest.approx(float(expected), rel=1e-12, abs=1e-14)

    def test_function_is_solid_and_derivative_dashed_in_one_colour(self):
        figure = plots.function_and_derivative(formula("cos"))
        f, df = line(figure, "$f(x)$"), line(figure, "$f'(x)$")
        assert (f.get_linestyle(), df.get_linestyle()) == ("-", "--")
        assert f.get_color() == df.get_color() == plots.LOOKS["cos"].color
        assert figure.axes[0].get_xlabel() == "x"

    def test_a_jump_is_not_joined_and_its_ends_are_open(self):
        figure = plots.function_and_derivative(formula("relu6"), (-3, 9), BREAKS["relu6"])
        x, y = line(figure, "$f'(x)$").get_data()
        assert set(y[~np.isnan(y)]) == {0.0, 1.0}
        assert list(x[np.isnan(y)]) == [0, 6]
        steps = np.diff(y)
        assert np.nanmax(np.abs(steps)) == 0  # every change of value is across a NaN, which draws nothing
        ends = [line.get_xydata()[0].tolist() for line in figure.axes[0].lines if line.get_marker() == "o"]
        assert ends == [[0, 0], [0, 1], [6, 1], [6, 0]]
        assert not np.isnan(line(figure, "$f(x)$").get_ydata()).any()  # f itself has a kink only

    def test_the_end_that_the_function_takes_is_filled(self):
        step = Formula("step", catalogue.x, sympy.Piecewise((0, catalogue.x < 0), (1, True)))
        ends = [
            line
            for line in plots.function_and_derivative(step, (-1, 1), (0,)).axes[0].lines
            if line.get_marker() == "o"
        ]
        assert {line.get_ydata()[0]: line.get_markerfacecolor() != "white" for line in ends} == {0: False, 1: True}

    def test_derivative_is_in_the_picture_where_the_function_leaves_it(self):
        low, high = plots.function_and_derivative(formula("swish")).axes[0].get_ylim()
        assert low < -0.2785
        assert 1.0998 / 0.45 < high < 3
        # A function that levels off is shown whole.
        low, high = plots.function_and_derivative(formula("relu6"), (-3, 9), (0, 6)).axes[0].get_ylim()
        assert high > 6
        low, high = plots.function_and_derivative(formula("tanh")).axes[0].get_ylim()
        assert low < -1 < 1 < high

    def test_several_at_an_order(self):
        figure = plots.several([formula(name) for name in NAMES], 2, breaks=BREAKS)
        x, y = line(figure, "CoS").get_data()
        assert y[np.argmin(np.abs(x))] == pytest.approx(0.5 + 2 * 1.25**2)  # f″(0) = 2σ′(0) + 2 (5σ′(0))²
        assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()][-2:] == ["Mish", "CoS"]
        assert figure.axes[0].get_ylabel() == "$f''(x)$"

    def test_a_constant_and_a_restricted_domain(self):
        x = sympy.Symbol("x")
        figure = plots.function_and_derivative(Formula("3*x", x, 3 * x))
        assert set(line(figure, "$f'(x)$").get_ydata()) == {3.0}
        y = line(plots.several([Formula("log(x)", x, sympy.log(x))]), "log(x)").get_ydata()
        assert 0.45 < np.isnan(y).mean() < 0.55

    def test_what_cannot_be_drawn_is_refused(self):
        x, a = sympy.symbols("x a")
        with pytest.raises(CosnbError, match="no values for a"):
            plots.function_and_derivative(Formula("mine", x, a * x))
        with pytest.raises(CosnbError, match="empty"):
            plots.function_and_derivative(formula("cos"), (2, -2))
        with pytest.raises(CosnbError, match="no finite value"):
            plots.several([Formula("log(x)", x, sympy.log(x))], interval=(-2, -1))


class TestStyle:
    def test_each_activation_has_its_own_colour_and_dashes(self):
        looks = plots.looks(NAMES)
        assert tuple(looks) == NAMES
        assert len({look.color for look in looks.values()}) == len({look.linestyle for look in looks.values()}) == 7

    def test_an_activation_looks_the_same_in_every_figure(self):
        def appearance(figure, label):
            drawn = line(figure, label)
            return drawn.get_color(), drawn._unscaled_dash_pattern

        formulas = plots.several([formula("relu"), formula("cos"), formula("mish")])
        assert appearance(formulas, "ReLU") == appearance(plots.training_curves(runs()), "ReLU (n = 3)")

    def test_unknown_names_differ_by_dashes(self):
        looks = plots.looks(["mine", "cos", "yours", "theirs", "ours"])
        assert len({look.linestyle for look in looks.values()}) == 5

    def test_style_leaves_nothing_behind(self):
        before = dict(matplotlib.rcParams)
        with plots.style():
            assert matplotlib.rcParams["svg.hashsalt"] == "cosnb"
        plots.function_and_derivative(formula("cos"))
        assert dict(matplotlib.rcParams) == before


class TestFiles:
    def figure(self, name):
        if name == "function":
            return plots.function_and_derivative(formula("relu"), breaks=(0,))
        if name == "several":
            return plots.several([formula(name) for name in NAMES], 1, breaks=BREAKS)
        if name == "curves":
            return plots.training_curves(runs())
        records = [*runs(), record("mish", 0, [0.1] * 4, "diverged")]
        rows = summarize(records, activations=("relu", "cos", "mish", "swish"))
        return plots.comparison(rows, {"relu": 88.0, "cos": 89.0})

    @pytest.mark.parametrize("name", ["function", "several", "curves", "comparison"])
    def test_svg_is_the_same_bytes_each_time(self, name, tmp_path):
        figure = self.figure(name)
        first = svg(figure, tmp_path / "a.svg")
        assert svg(figure, tmp_path / "b.svg") == first  # the same figure again
        assert svg(self.figure(name), tmp_path / "c.svg") == first  # an equal figure
        assert figure._repr_svg_().encode() == first  # as a notebook shows it
        assert b"<dc:date>" not in first
        assert b"<image" not in first
        assert b"<text" not in first  # glyphs are paths, so no font of the reader's machine matters

    @pytest.mark.parametrize("name", ["function", "several", "curves", "comparison"])
    def test_pages_are_white_and_nothing_is_cut_off(self, name):
        figure = self.figure(name)
        assert tuple(figure.get_size_inches()) == plots.SIZE
        buffer = io.BytesIO()
        figure.savefig(buffer, format="rgba", dpi=100)
        pixels = np.frombuffer(buffer.getvalue(), np.uint8).reshape(300, 500, 4)
        assert (pixels[[0, -1], :] == 255).all()
        assert (pixels[:, [0, -1]] == 255).all()
        assert 0.02 < (pixels[..., :3] < 255).any(axis=2).mean() < 0.5


class TestTrainingCurves:
    def test_line_is_the_mean_and_band_the_t_interval_in_percent(self):
        records = runs()
        figure = plots.training_curves(records)
        axes = figure.axes[0]
        values = 100 * np.array([[e["test_accuracy"] for e in r["epochs"]] for r in records[3:]])
        x, y = line(figure, "CoS (n = 3)").get_data()
        assert x.tolist() == [1, 2, 3, 4]
        assert y == pytest.approx(values.mean(axis=0))
        band = axes.collections[1].get_paths()[0].vertices
        interval = t_interval(values[:, 2])
        at_three = band[band[:, 0] == 3][:, 1]
        assert (at_three.min(), at_three.max()) == pytest.approx((interval.low, interval.high))
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "test accuracy (%)")

    def test_loss_and_a_later_first_epoch(self):
        records = runs()
        figure = plots.training_curves(records, "loss", first_epoch=3)
        x, y = line(figure, "ReLU (n = 3)").get_data()
        assert x.tolist() == [3, 4]
        assert y[0] == pytest.approx(np.mean([r["epochs"][2]["test_loss"] for r in records[:3]]))
        assert figure.axes[0].get_ylabel() == "test loss"

    def test_few_runs_have_no_band(self):
        one, two = plots.training_curves(runs(1)), plots.training_curves(runs(2))
        assert len(one.axes[0].collections) == len(two.axes[0].collections) == 0
        assert len(one.axes[0].lines) == 2
        assert len(two.axes[0].lines) == 2 * (1 + 2)

    def test_the_start_does_not_set_the_height(self):
        low, _ = plots.training_curves(runs(epochs=40)).axes[0].get_ylim()
        assert 80 < low < 90  # the first epoch is at 50 %

    def test_unfinished_and_missing_runs_are_named(self):
        records = [*runs(), record("cos", 7, [0.1, 0.1, 0.1, 0.1], "diverged")]
        figure = plots.training_curves(records, activations=("cos", "swish"))
        labels = [text.get_text() for text in figure.legends[0].get_texts()]
        assert labels == ["CoS (n = 3; 1 diverged)", "Swish (missing)"]

    def test_nothing_to_draw_is_refused(self):
        with pytest.raises(CosnbError, match="No finished run"):
            plots.training_curves([])
        with pytest.raises(CosnbError, match="epoch 5"):
            plots.training_curves(runs(), first_epoch=5)
        with pytest.raises(CosnbError, match="'error'"):
            plots.training_curves(runs(), "error")


class TestComparison:
    def test_means_intervals_and_the_papers_numbers(self):
        rows = summarize(runs())
        axes = plots.comparison(rows, {"relu": 88.58, "cos": 89.18}).axes[0]
        marks = {kind: [drawn for drawn in axes.lines if drawn.get_marker() == kind] for kind in "oD|"}
        means = [row.intervals["accuracy"].mean for row in rows]
        assert [drawn.get_xdata()[0] for drawn in marks["o"]] == pytest.approx(means)
        assert [drawn.get_xdata()[0] for drawn in marks["D"]] == [88.58, 89.18]
        assert all(drawn.get_markerfacecolor() == "white" for drawn in marks["D"])
        assert sorted(marks["|"][1].get_xdata()) == pytest.approx(sorted(rows[1].values["accuracy"].values()))
        spans = [drawn.get_xdata() for drawn in axes.lines if drawn.get_linestyle() == "-"]
        interval = rows[1].intervals["accuracy"]
        assert spans[1] == pytest.approx([interval.low, interval.high])
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["ReLU\nn = 3", "CoS\nn = 3"]
        assert axes.get_xlabel() == "test accuracy (%)"

    def test_gaps_are_written_out(self):
        records = [record("relu", 0, [0.8] * 4), record("cos", 0, [0.1] * 4, "diverged")]
        axes = plots.comparison(summarize(records, activations=("relu", "cos", "mish"))).axes[0]
        assert [text.get_text() for text in axes.texts] == ["no finished run", "missing"]
        assert [tick.get_text() for tick in axes.get_yticklabels()][1] == "CoS\nn = 0\n1 diverged"
        assert not [drawn for drawn in axes.lines if drawn.get_linestyle() == "-"]  # n = 1 has no interval


class TestLeads:
    def test_short_runs_are_grey_and_the_papers_lead_is_a_diamond_on_each_row(self):
        interval = t_interval([0.1, 0.5, 0.6])
        rows = [
            Lead("squeezenet", pair, interval, claimed, "a few", long)
            for long in (False, True)
            for pair, claimed in (("CoS − ReLU", 0.6), ("CoS − Swish", 0.38))
        ]
        rows = [rows[0], rows[1], *(dataclasses.replace(row, network="speedrun") for row in rows[2:])]
        left, right = plots.leads(rows).axes
        spans = [drawn for drawn in left.lines if list(drawn.get_xdata()) == [interval.low, interval.high]]
        assert [drawn.get_color() for drawn in spans] == ["0.45", plots.LOOKS["cos"].color]
        diamonds = [drawn.get_xdata()[0] for drawn in right.lines if drawn.get_marker() == "D"]
        assert diamonds == [0.38, 0.38]
        assert next(tick.get_text() for tick in left.get_yticklabels()) == "SqueezeNet\na few\nn = 3"

    def test_printed_leads_reach_two_errors_to_either_side(self):
        found = printed_leads()
        left, _ = plots.printed_leads(found).axes
        spans = [list(drawn.get_xdata()) for drawn in left.lines if drawn.get_marker() == "None"][1:]  # after zero's
        wanted = [[r.lead - 2 * r.error, r.lead + 2 * r.error] for r in found if r.pair == "CoS − ReLU"]
        assert spans == [pytest.approx(span) for span in wanted]
        assert all(low < 0 < high for low, high in spans)

    def test_a_histogram_counts_every_draw_with_an_edge_at_0(self):
        axes = plots.histograms({"CoS − ReLU": ([-1.0, -0.2, 0.0, 0.3, 0.7, 2.0], 0.6)}).axes[0]
        behind = sum(bar.get_height() for bar in axes.patches if bar.get_x() < -1e-9)
        ahead = sum(bar.get_height() for bar in axes.patches if bar.get_x() >= -1e-9)
        assert (behind, ahead) == (2, 4)
        assert any(bar.get_x() == pytest.approx(0) for bar in axes.patches)
        assert axes.get_title() == "2 of 6 reach +0.60"
        with pytest.raises(CosnbError, match="no run to draw"):
            plots.histograms({"CoS − ReLU": ([], 0.6)})
