"""Numbers as people read them, at the edges where one unit becomes the next."""

from __future__ import annotations

import pytest

from core import figures


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (999, "999"),
        (999_999, "999,999"),
        (1e6, "1.00 M"),
        (9.996e6, "10.0 M"),
        (999.4e6, "999 M"),
        (999.9e6, "1.00 B"),
        (8.03e9, "8.03 B"),
        (70.6e9, "70.6 B"),
    ],
)
def test_counts(number: float, words: str) -> None:
    assert figures.count(number) == words


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (80 * 2**20, "80 MiB"),
        (-1.8 * 2**30, "−1.8 GiB"),
        (999.6 * 2**20, "0.98 GiB"),
        (5000 * 2**30, "5,000 GiB"),
    ],
)
def test_sizes(num_bytes: float, words: str) -> None:
    assert figures.size(num_bytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (599.6, "10 min 00 s"),
        (600, "10 min"),
        (3599, "1 h 00 min"),
        (9 * 3600, "9 h 00 min"),
        (48 * 3600, "2 d 0 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert figures.duration(seconds) == words
