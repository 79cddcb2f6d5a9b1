"""Plots: every spike is drawn, axes are readable, zoom and crosshair are shared, colours follow the theme."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.state.series import Column, Series, Smooth
from app.widgets import plot_axes
from app.widgets.curve_plot import RAW_ALPHA, CurvePlot, Look, nearest
from app.widgets.plot_axes import BYTES, LOSS, NORM, RATE, STEPS, TIME, log_values, round_values
from app.widgets.plot_link import PlotLink
from app.widgets.plot_marks import Best


def data_of(values, pace: float = 0.5) -> SimpleNamespace:
    steps, seconds = Column(), Column()
    steps.extend(np.arange(1, len(values) + 1, dtype=float))
    seconds.extend(np.arange(1, len(values) + 1) * pace)
    series = Series(steps)
    series.extend(np.asarray(values, dtype=float))
    return SimpleNamespace(steps=steps, seconds=seconds, series=series)


@pytest.fixture
def show(theme, qtbot):
    """A plot of some values, in a window that is really shown."""

    def show(values, scale=LOSS, **options) -> SimpleNamespace:
        data, link = data_of(values), PlotLink()
        link.set_full(len(values), len(values) * 0.5)
        plot = CurvePlot(theme, link, scale, "Loss", 240, **options)
        plot.add("loss", data.series, data.seconds, Look(0, 1.0, RAW_ALPHA))
        window = QWidget()
        QVBoxLayout(window).addWidget(plot)
        window.resize(800, 300)
        qtbot.addWidget(window)
        window.show()
        qtbot.waitExposed(window)
        plot.refresh()
        QTest.qWait(20)  # the layout takes in how wide the labels are
        return SimpleNamespace(plot=plot, link=link, data=data, window=window)

    return show


def drawn(plot: CurvePlot, index: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return plot.curves[index].item.getData()


def blue_pixels(plot: CurvePlot) -> np.ndarray:
    """Rows and columns of the pixels in the curve's blue, however thin; all else on the card is grey."""
    image = plot.grab().toImage().convertToFormat(QImage.Format.Format_RGB32)
    width, height = image.width(), image.height()
    raw = np.frombuffer(image.constBits(), np.uint8).reshape(height, image.bytesPerLine() // 4, 4)[:, :width]
    return np.argwhere(raw[:, :, 0].astype(int) - raw[:, :, 2] > 40)


@pytest.mark.parametrize("where", [3, 40_000, 99_990])
@pytest.mark.parametrize("stretch", [(0, 100_000), (0.4, 0.6)])
def test_a_single_spike_is_on_the_screen_at_any_zoom(show, where, stretch):
    values = np.random.default_rng(1).normal(2, 0.05, 100_000)
    values[where] = 9.0
    shown = show(values)
    if stretch != (0, 100_000):
        shown.link.zoom(where - 20_000, where + 20_000)
    xs, ys = drawn(shown.plot)
    assert ys.max() == 9.0
    assert len(xs) <= 4 * shown.plot.width()
    low, high = shown.plot.getPlotItem().viewRange()[1]
    assert low < 2 and high > 9


def test_the_spike_is_painted(show):
    values = np.full(200_000, 2.0)
    values[120_000] = 9.0
    shown = show(values)
    shown.plot.curves[0].look = Look(0, 1.0)
    shown.plot._take_colors()
    marks = blue_pixels(shown.plot)
    assert len(marks)
    top, bottom = marks[:, 0].min(), marks[:, 0].max()
    assert bottom - top > 100, "the spike reaches from the foot of the plot to its head"


def test_only_what_is_new_is_taken_in_and_one_point_shows(show):
    shown = show([])
    assert len(drawn(shown.plot)[0]) == 0
    shown.data.steps.extend([1.0])
    shown.data.seconds.extend([0.5])
    shown.data.series.extend([2.0])
    shown.plot.refresh()
    assert drawn(shown.plot)[1].tolist() == [2.0]


def test_a_plot_out_of_sight_does_no_work_and_catches_up(show, qtbot):
    shown = show([1.0, 2.0])
    shown.window.hide()
    shown.data.steps.extend([3.0])
    shown.data.seconds.extend([1.5])
    shown.data.series.extend([5.0])
    shown.plot.refresh()
    assert len(drawn(shown.plot)[0]) == 2
    shown.window.show()
    qtbot.waitUntil(lambda: len(drawn(shown.plot)[0]) == 3)


def test_gaps_stay_gaps(show):
    shown = show([1.0, math.nan, 3.0, math.nan])
    assert np.isnan(drawn(shown.plot)[1]).tolist() == [False, True, False, True]
    shown.plot.grab()


def test_nothing_but_gaps_is_an_empty_plot(show):
    shown = show([math.nan] * 5)
    shown.link.point_at(2)
    assert "not a number" in shown.plot.readout.text
    shown.plot.grab()


def test_a_logarithmic_axis_shows_logarithms_and_leaves_out_what_has_none(show):
    shown = show([100.0, 10.0, 1.0, 0.0, -1.0, 0.1])
    shown.plot.set_log(True)
    heights = drawn(shown.plot)[1]
    np.testing.assert_allclose(heights[[0, 1, 2, 5]], [2, 1, 0, -1])
    assert np.isnan(heights[[3, 4]]).all()
    low, high = shown.plot.getPlotItem().viewRange()[1]
    assert low < -1 and high > 2
    words = [text for _, text in shown.plot._left.labels(low, high, 200)]
    assert {"0.1", "1", "10", "100"} <= set(words)
    shown.plot.set_log(False)
    assert drawn(shown.plot)[1][0] == 100


def test_time_and_steps_are_the_same_curve_over_another_axis(show):
    shown = show([3.0, 2.0, 1.0, 1.0])
    shown.link.set_unit("time")
    xs, ys = drawn(shown.plot)
    assert xs.tolist() == [0.5, 1.0, 1.5, 2.0] and ys.tolist() == [3, 2, 1, 1]
    shown.link.set_unit("step")
    assert drawn(shown.plot)[0].tolist() == [1, 2, 3, 4]


def at(plot: CurvePlot, x: float) -> QPoint:
    """Where on the plot a position stands."""
    box = plot.getPlotItem().getViewBox()
    height = sum(box.viewRange()[1]) / 2
    return plot.mapFromScene(box.mapViewToScene(QPointF(x, height)))


def test_the_crosshair_names_the_values_of_every_linked_plot(show, theme, qtbot):
    shown = show(np.arange(1000) / 100.0, has_key=True)
    other = CurvePlot(theme, shown.link, BYTES, "Memory", 120)
    other.add("memory", shown.data.series, shown.data.seconds, Look(2))
    qtbot.addWidget(other)
    other.show()
    QTest.mouseMove(shown.plot.viewport(), at(shown.plot, 500))
    qtbot.waitUntil(lambda: shown.link.hover is not None)
    assert shown.link.hover == pytest.approx(500, abs=3)
    value = shown.data.series.values[nearest(shown.data.steps.values, shown.link.hover)]
    assert shown.plot.readout.text == f"step {shown.link.hover:.0f}, loss {value:.3f}"
    assert other.readout.text == f"step {shown.link.hover:.0f}, {BYTES.words(value)}"
    shown.link.point_at(None)
    assert shown.plot.readout.text == "loss" and not other.readout.isVisible()
    shown.link.point_at(5000)
    assert shown.plot.readout.text == "loss"


def test_dragging_zooms_in_and_a_double_click_out_again(show, qtbot):
    shown = show(np.arange(1000.0))
    view = shown.plot.viewport()
    start, end = at(shown.plot, 200), at(shown.plot, 400)
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    QTest.mouseMove(view, end)
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=end)
    assert shown.link.is_zoomed
    assert shown.link.range == pytest.approx((200, 400), abs=4)
    assert drawn(shown.plot)[1].min() >= 195 and drawn(shown.plot)[1].max() <= 405
    QTest.mouseDClick(view, Qt.MouseButton.LeftButton, pos=start)
    assert not shown.link.is_zoomed and shown.link.range == (0, 1000)


def test_a_mere_click_does_not_zoom(show):
    shown = show(np.arange(1000.0))
    QTest.mouseClick(shown.plot.viewport(), Qt.MouseButton.LeftButton, pos=at(shown.plot, 200))
    assert not shown.link.is_zoomed


def wheel(plot: CurvePlot, turn: QPoint, keys=Qt.KeyboardModifier.NoModifier) -> QWheelEvent:
    where, no_button = QPointF(at(plot, 500)), Qt.MouseButton.NoButton
    phase = Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(where, plot.mapToGlobal(where), QPoint(), turn, no_button, keys, phase, False)
    plot.wheelEvent(event)
    return event


def test_the_wheel_scrolls_the_page_and_zooms_only_with_ctrl(show):
    shown = show(np.arange(1000.0))
    assert not wheel(shown.plot, QPoint(0, 120)).isAccepted() and not shown.link.is_zoomed
    assert wheel(shown.plot, QPoint(0, 120), Qt.KeyboardModifier.ControlModifier).isAccepted()
    left, right = shown.link.range
    assert 0 < left < 500 < right < 1000
    assert wheel(shown.plot, QPoint(-120, 0)).isAccepted()
    assert shown.link.range[0] > left


def test_the_keyboard_zooms_moves_and_resets(show):
    shown = show(np.arange(1000.0))
    QTest.keyClick(shown.plot, Qt.Key.Key_Plus)
    left, right = shown.link.range
    assert right - left == pytest.approx(700)
    QTest.keyClick(shown.plot, Qt.Key.Key_Right)
    assert shown.link.range[0] > left
    QTest.keyClick(shown.plot, Qt.Key.Key_Left)
    QTest.keyClick(shown.plot, Qt.Key.Key_Minus)
    assert not shown.link.is_zoomed
    QTest.keyClick(shown.plot, Qt.Key.Key_Plus)
    QTest.keyClick(shown.plot, Qt.Key.Key_Home)
    assert not shown.link.is_zoomed


@given(st.lists(st.tuples(st.sampled_from("zmws"), st.floats(-3000, 3000), st.floats(-3000, 3000)), max_size=12))
def test_whatever_one_does_the_stretch_stays_within_the_run(actions):
    link = PlotLink()
    link.set_full(1000, 500)
    for kind, one, other in actions:
        match kind:
            case "z":
                link.zoom(min(one, other), max(one, other))
            case "m":
                link.move(one / 100)
            case "w":
                link.magnify(abs(other) / 1000 + 0.01, one)
            case "s":
                link.set_unit("time" if one > 0 else "step")
        left, right = link.range
        whole = 1000 if link.unit == "step" else 500
        assert 0 <= left < right <= whole + 1e-6
        assert right - left >= min(1.0, whole)


def test_a_run_that_grows_does_not_move_a_zoom(show):
    shown = show(np.arange(1000.0))
    shown.link.zoom(100, 200)
    shown.link.set_full(2000, 1000)
    assert shown.link.range == (100, 200)


def test_a_level_is_always_in_sight_with_its_words(show):
    shown = show([300.0 * 2**20] * 50, scale=BYTES)
    shown.plot.marks.set_level("predicted", 900.0 * 2**20, "900 MiB predicted")
    shown.plot.refresh()
    low, high = shown.plot.getPlotItem().viewRange()[1]
    assert low == 0 and high > 900 * 2**20
    shown.plot.marks.set_level("predicted", None)
    shown.plot.refresh()
    assert shown.plot.getPlotItem().viewRange()[1][1] < 400 * 2**20


def test_the_best_point_and_now_are_marked_only_where_they_are_seen(show):
    shown = show(np.arange(100.0))
    marks = shown.plot.marks
    marks.best, marks.now = Best((50, 25.0), 50.0, "best 50"), (100, 50.0)
    shown.plot.refresh()
    assert marks._point.isVisible() and marks._now.isVisible()
    shown.link.zoom(10, 30)
    assert not marks._point.isVisible() and not marks._now.isVisible()
    shown.link.reset()
    marks.best = marks.now = None
    shown.plot.refresh()
    assert not marks._point.isVisible() and not marks._now.isVisible()


def test_colours_follow_the_theme(show, theme):
    shown = show([1.0, 2.0, 1.0])
    shown.plot.grab()
    theme.set_appearance("dark")
    assert shown.plot.backgroundBrush().color().name().upper() == theme.tokens.card
    assert shown.plot.curves[0].item.opts["pen"].color().name().upper() == theme.tokens.curves[0]
    assert shown.plot.curves[0].item.opts["pen"].color().alpha() == RAW_ALPHA
    assert len(drawn(shown.plot)[0]) == 3, "a change of colours keeps the curve"


def test_pens_stay_thin_at_any_scale(show):
    pen = show([1.0, 2.0]).plot.curves[0].item.opts["pen"]
    assert pen.isCosmetic() and pen.widthF() == 1.0


def test_a_smooth_curve_and_dots_can_be_added_and_taken_away(show):
    shown = show(np.arange(5000.0))
    smooth = Smooth(shown.data.series, 0.9)
    smooth.catch_up()
    shown.plot.add("smoothed", smooth, shown.data.seconds, Look(0))
    shown.plot.add("held out", shown.data.series, shown.data.seconds, Look(1, is_dashed=True, has_points=True))
    shown.plot.refresh()
    assert len(drawn(shown.plot, 1)[0]) < 1500
    assert len(shown.plot.curves[2].dots.data) > 0
    shown.plot.clear_curves()
    shown.plot.refresh()
    assert shown.plot.curves == []


@pytest.mark.parametrize(
    ("low", "high", "most", "scale", "words"),
    [
        (0.9, 2.6, 5, LOSS, ["1.0", "1.5", "2.0", "2.5"]),
        (0, 790, 8, STEPS, ["0", "100", "200", "300", "400", "500", "600", "700"]),
        (0, 3, 8, STEPS, ["0", "1", "2", "3"]),
        (0, 360 * 2**20, 4, BYTES, ["0", "100 MiB", "200 MiB", "300 MiB"]),
        (0, 24 * 2**30, 5, BYTES, ["0", "5 GiB", "10 GiB", "15 GiB", "20 GiB"]),
        (0, 2.1e-4, 2, RATE, ["0", "2 × 10⁻⁴"]),
        (0, 1.6, 4, NORM, ["0.0", "0.5", "1.0", "1.5"]),
        (0, 7200, 5, TIME, ["0", "30 min", "1 h", "1:30 h", "2 h"]),
        (0, 50, 6, TIME, ["0", "10 s", "20 s", "30 s", "40 s", "50 s"]),
        (0, 100, 5, TIME, ["0", "30 s", "1 min", "1:30 min"]),
        (1.2301, 1.2309, 4, LOSS, ["1.2302", "1.2304", "1.2306", "1.2308"]),
        (1, 1, 5, LOSS, []),
        (0, math.inf, 5, LOSS, []),
        (math.nan, 1, 5, LOSS, []),
    ],
)
def test_labels_are_round_and_readable(low, high, most, scale, words):
    values, step = round_values(low, high, most, scale)
    assert [scale.label(value, step) for value in values] == words


@given(st.floats(-1e12, 1e12), st.floats(1e-9, 1e12), st.integers(1, 12))
def test_labels_are_few_in_order_and_inside(low, span, most):
    high = low + span
    for scale in (LOSS, BYTES, STEPS, TIME, RATE):
        if scale is TIME and span > 1e9:
            continue
        values, step = round_values(low, high, most, scale)
        assert len(values) <= most + 2
        assert values == sorted(values)
        for value in values:
            scale.label(value, step)
            assert low - step * 1e-6 <= value <= high + step * 1e-6


@given(st.floats(-12, 12), st.floats(1e-6, 20), st.integers(1, 10))
def test_logarithmic_labels_are_few_in_order_and_inside(low, span, most):
    values = log_values(low, low + span, most)
    assert len(values) <= most + 1
    assert values == sorted(values)
    assert all(low - 1e-6 <= value <= low + span + 1e-6 for value in values)


@pytest.mark.parametrize(("at", "index"), [(-5, 0), (1, 0), (1.4, 0), (1.6, 1), (2, 1), (9, 3), (7, 2), (8, 3)])
def test_the_nearest_position(at, index):
    assert nearest(np.array([1.0, 2.0, 6.0, 9.0]), at) == index


def test_words_for_single_values():
    assert LOSS.words(1.23456) == "1.235"
    assert plot_axes.BYTES.words(2**30) == "1 GiB"
    assert TIME.words(3720) == "1 h 02 min"
