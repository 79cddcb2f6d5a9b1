"""The memory bar's arithmetic: nothing overlaps, nothing vanishes, and the pile ends where the peak is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.widgets.memory_bar import ROW, MemoryBar
from app.widgets.memory_layout import MemoryPicture, spread, stack
from core.memory.estimate import PART_NAMES

GIB = 2**30
TEXT_HEIGHT = 16  # of 12 pixel type
SOME = {
    "weights": 5.2, "constants": 0.1, "adapter": 0.08, "gradients": 0.08, "optimizer": 0.16, "activations": 1.0,
    "recompute": 0.95, "head_and_loss": 0.0, "workspace": 0.11, "context": 0.3, "margin": 0.2,
}  # fmt: skip


def picture(scale: float = 1.0, free: float = 10.9, total: float = 12.0, others: float = 1.1) -> MemoryPicture:
    parts = {name: round(amount * scale * GIB) for name, amount in SOME.items()}
    return MemoryPicture(
        parts, round(0.2 * scale * GIB), round(free * GIB), round(total * GIB), round(others * GIB)
    )


@given(
    st.lists(st.floats(0, 400), max_size=14).map(sorted),
    st.floats(250, 460),
)
def test_labels_keep_their_order_and_their_distance_and_stay_inside(wanted, height):
    places = spread(wanted, 18, 10, height)
    assert len(places) == len(wanted)
    for above, below in itertools.pairwise(places):
        assert below - above >= 18 - 1e-6
    if places:
        assert places[0] >= 10 - 1e-6 and places[-1] <= height + 1e-6


def test_labels_that_have_room_stand_where_they_belong():
    assert spread([10, 60, 200], 18, 0, 400) == [10, 60, 200]
    assert spread([100, 100], 20, 0, 400) == [90, 110]


def test_too_many_labels_share_the_room_evenly():
    assert spread([5.0] * 5, 30, 0, 40) == [0, 10, 20, 30, 40]


@given(st.dictionaries(st.sampled_from(PART_NAMES), st.integers(0, 2**34), max_size=11))
def test_the_pile_shows_every_part_and_ends_at_the_peak(parts):
    peak = sum(parts.values())
    if not peak:
        assert stack(parts, 400, 1.0) == []
        return
    pieces = stack(parts, 400, 360 / peak)
    assert [piece.name for piece in pieces] == [name for name, amount in parts.items() if amount]
    for below, above in itertools.pairwise(pieces):
        assert above.bottom == pytest.approx(below.top)
    assert all(piece.bottom - piece.top >= 1.99 for piece in pieces)
    assert pieces[-1].top == pytest.approx(400 - 360, abs=0.01)


@pytest.mark.parametrize("height", [250, 300, 372, 460])
@pytest.mark.parametrize(
    "shown",
    [
        picture(), picture(0.05), picture(2.0), picture(1.36), picture(1.0, free=11.98, others=0.0),
        picture(1.0, free=9.0, others=2.5), picture(0.4, total=139, free=130, others=9),
    ],
    ids=["fits", "tiny", "too large", "tight", "nobody else", "our runs too", "large device"],
)  # fmt: skip
def test_no_two_labels_of_the_bar_overlap(height, shown, theme, qtbot):
    bar = MemoryBar(theme)
    qtbot.addWidget(bar)
    bar.resize(344, height)
    bar.show_picture(shown)
    rows = bar.rows
    assert {row.name for row in rows} >= {name for name, amount in shown.parts.items() if amount}
    for above, below in itertools.pairwise(rows):
        assert below.y - above.y >= TEXT_HEIGHT
    assert all(row.y - ROW / 2 + 0.01 >= 0 and row.y + ROW / 2 <= height + 0.01 for row in rows)
    assert not bar.grab().isNull()


def test_the_free_line_stands_at_its_share_and_its_words_beneath(theme, qtbot):
    bar = MemoryBar(theme)
    qtbot.addWidget(bar)
    bar.resize(344, 372)
    bar.show_picture(picture())
    assert bar._free_line is not None
    line, _ = bar._free_line
    rows = {row.name: row.y for row in bar.rows}
    assert rows["others"] + ROW / 2 <= line + 1 < rows["free"]
    assert bar._pieces[-1].top > line, "what fits stands below the line"


def test_a_run_that_does_not_fit_reaches_over_the_line(theme, qtbot):
    bar = MemoryBar(theme)
    qtbot.addWidget(bar)
    bar.resize(344, 372)
    shown = picture(2.0)
    assert not shown.fits
    bar.show_picture(shown)
    assert bar._free_line is not None and bar._pieces[-1].top < bar._free_line[0]


def test_a_small_run_is_enlarged_to_the_whole_bar(theme, qtbot):
    bar = MemoryBar(theme)
    qtbot.addWidget(bar)
    bar.resize(344, 372)
    shown = picture(0.02)
    assert shown.is_small
    bar.show_picture(shown)
    pile = bar._pieces[0].bottom - bar._pieces[-1].top
    assert pile > 250


def test_the_bar_can_be_heard(theme, qtbot):
    bar = MemoryBar(theme)
    qtbot.addWidget(bar)
    bar.show_picture(picture())
    assert "weights 5.2 GiB" in bar.accessibleDescription() and "free 10.9 GiB" in bar.accessibleDescription()
    bar.show_picture(None)
    assert bar.rows == [] and not bar.grab().isNull()
