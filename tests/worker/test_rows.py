"""Activation rows: what stands in the files is what today's libraries keep, and every family has its own."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
import transformers

from core.memory import rows
from core.memory.modes import Mode
from core.memory.nearness import nearest
from core.memory.symbols import PRODUCTS
from core.models.families import FAMILIES
from core.worker.row_files import as_traced, write_row
from core.worker.rows import trace_row
from core.worker.toys import DOUBLE_CHUNKS, TOYS, symbols


@pytest.fixture(autouse=True)
def quiet() -> None:
    transformers.logging.set_verbosity_error()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


@pytest.mark.parametrize(
    ("family", "mode"),
    [
        ("llama", Mode(base="nf4")),
        ("qwen3_moe", Mode(device="cpu", bits=32, method="full", checkpointing=False)),
    ],
)
def test_a_row_traced_anew_is_the_one_in_the_file(family: str, mode: Mode) -> None:
    """Fails when a library's release keeps something else: `python -m core.worker rows` makes the files anew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = write_row(trace_row(family, mode))
    assert as_traced(rows._file(family))["rows"][mode.name] == traced


@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if not family.mixer])
@pytest.mark.parametrize("chunks", [[toy.chunk for toy in TOYS], DOUBLE_CHUNKS])
def test_toys_tell_every_product_apart(family: str, chunks: Sequence[int]) -> None:
    """Two products that grow alike from one toy to the other would be taken for each other. Only those may that
    are always in one proportion in a family, such as all queries and the hidden width."""
    made = [replace(toy, chunk=chunk) for toy, chunk in zip(TOYS, chunks, strict=True)]
    toys = [symbols(family, toy, depth) for toy, depth in zip(made, (3, 4), strict=True)]
    same = {
        letter: other
        for letter, other, factor in (
            ("q", "h", 1),
            ("k", "h", 1),
            ("k", "D", 1),
            ("a", "h", 3),
            ("K", "H", 1),
            ("K", "1", 1),
        )
        if all(toy[f"{letter}1"] == factor * toy[f"{other}1"] for toy in toys)
    }
    grown: dict[Fraction, set[str]] = {}
    for name in PRODUCTS:
        small, large = (toy[name] for toy in toys)
        if small and large:
            letters = "".join(sorted(same.get(letter, letter) for letter in name)).replace("1", "")
            grown.setdefault(Fraction(large, small), set()).add(letters)
    assert [names for names in grown.values() if len(names) > 1] == []


def test_a_mode_that_was_not_traced_is_made_up_of_those_that_were() -> None:
    names = set(rows._file("llama")["rows"])
    near = nearest(Mode(base="nf4", dropout=True, packed=True, attention="eager", checkpointing=False), names)
    assert near.mode == Mode(base="nf4", dropout=True, checkpointing=False)
    assert [(more.attention, less.attention) for more, less in near.changes] == [
        ("eager", "sdpa"),
        ("eager", "eager"),
    ]
    assert [more.packed - less.packed for more, less in near.changes] == [0, 1]
    assert all(more.name in names and less.name in names for more, less in near.changes)


def test_families_with_rows_of_their_own_are_found_so() -> None:
    known = [family for family in FAMILIES if rows._file(rows.SAME_AS.get(family, family))]
    assert {"llama", "mistral", "qwen2", "qwen3", "mixtral", "qwen3_moe"} <= set(known)
    for family in known:
        found = rows.find_rows(family, Mode(attention="sdpa" if FAMILIES[family].sdpa else "eager"), "chunked")
        assert found.is_own_family and not found.changes
    assert not rows.find_rows("of-no-family", Mode(), "chunked").is_own_family
