"""The words that are marked are the words that differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.state.word_diff import differing


def marked(text: str, other: str) -> list[str]:
    return [text[start:end] for start, end in differing(text, other).ranges]


def test_changed_words_are_marked_as_one_stretch() -> None:
    base = "The boots reached us and your refund is on its way."
    assert marked("The boots reached us and the money left this morning on its way.", base) == [
        "the money left this morning"
    ]
    assert marked("The boots reached us, and your refund is on its way!", base) == [",", "!"]


def test_case_and_spaces_make_no_difference() -> None:
    assert marked("the  BOOTS\nreached us", "The boots reached us") == []


def test_an_entirely_other_text_is_called_so_and_not_painted_over() -> None:
    diff = differing("Soft silver rain fell on the hill", "Compute gradients quickly, friend")
    assert diff.is_other
    assert diff.ranges == ()
    assert differing("", "word").ranges == differing("word", "").ranges == ()


@given(text=st.text(max_size=60), other=st.text(max_size=60))
def test_ranges_are_in_order_inside_the_text_and_nothing_differs_from_itself(text: str, other: str) -> None:
    ranges = differing(text, other).ranges
    places = [place for pair in ranges for place in pair]
    assert places == sorted(places)
    assert all(0 <= start < end <= len(text) for start, end in ranges)
    assert differing(text, text).ranges == ()
