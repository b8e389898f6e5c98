"""Plots are well-formed, say in words what they show, and put every value where it belongs."""

import xml.etree.ElementTree as ET

import pytest

from rag.plots import Row, curve, histogram, nice, shares_plot

HOSTILE = '</svg><script>alert("1")</script>&'


def parsed(svg):
    """The plot, as any reader of XML sees it."""
    return ET.fromstring(svg)


def circles(svg, kind="mark"):
    return [c for c in parsed(svg).iter("circle") if c.get("class") == kind]


def test_shares_stand_in_the_order_of_their_values():
    rows = [Row("a", 0.0), Row("b", 0.25, (0.1, 0.5)), Row("c", 1.0, None, before=0.5)]
    svg = shares_plot(rows, title="shares")
    xs = [float(c.get("cx")) for c in circles(svg)]
    assert xs == sorted(xs)
    assert xs[1] - xs[0] == pytest.approx((xs[2] - xs[0]) / 4, abs=0.1)
    [ring] = circles(svg, "ring")
    assert float(ring.get("cx")) == pytest.approx((xs[0] + xs[2]) / 2, abs=0.1)
    [interval] = [line for line in parsed(svg).iter("line") if line.get("class") == "line"]
    assert float(interval.get("x1")) < xs[1] < float(interval.get("x2"))


def test_a_histogram_counts_every_value_once():
    values = [0.05, 0.07, 0.11, 0.31, 0.99]
    svg = histogram(values, title="t", unit="seconds")
    labels = [text.text for text in parsed(svg).iter("text")]
    bars = list(parsed(svg).iter("rect"))
    counts = [int(text) for text in labels if text.isdecimal()][: len(bars)]
    assert sum(counts) == len(values)
    assert all(float(bar.get("height")) > 0 for bar in bars)


@pytest.mark.parametrize("values", [[0.0], [0.0, 0.0], [1e-6], [3600.0], [0.1] * 500, [1, 2, 1e6]])
def test_a_histogram_takes_any_times(values):
    assert len(list(parsed(histogram(values, title="t", unit="s")).iter("rect"))) <= 30


def test_a_curve_runs_from_corner_to_corner_with_its_mark():
    svg = curve([(0, 0), (0.2, 0.9), (1, 1)], here=(0.2, 0.9), title="t", across="x", up="y")
    [line] = parsed(svg).iter("polyline")
    points = [tuple(map(float, p.split(","))) for p in line.get("points").split()]
    [mark] = circles(svg)
    assert (float(mark.get("cx")), float(mark.get("cy"))) == points[1]
    assert points[0][0] < points[1][0] < points[2][0]
    assert points[0][1] > points[1][1] > points[2][1]


@pytest.mark.parametrize(
    "svg",
    [
        shares_plot([Row(HOSTILE, 0.5)], title=HOSTILE),
        histogram([1.0], title=HOSTILE, unit=HOSTILE),
        curve([(0, 0), (1, 1)], here=(0, 0), title=HOSTILE, across=HOSTILE, up=HOSTILE),
    ],
)
def test_texts_are_escaped_and_every_plot_has_a_title_and_a_description(svg):
    root = parsed(svg)
    assert not list(root.iter("script"))
    assert root.get("role") == "img"
    assert root.find("title").text == HOSTILE
    assert root.find("desc").text
    assert root.get("aria-label").startswith(HOSTILE)


@pytest.mark.parametrize(("least", "step"), [(0.03, 0.05), (1, 1), (1.01, 2), (2, 2), (51, 100)])
def test_steps_are_round_numbers(least, step):
    assert nice(least) == pytest.approx(step)
