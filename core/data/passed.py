"""What of a folder or an archive is not read, and why: nothing is passed over without a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from core.data.suffixes import ARCHIVE_SUFFIXES, CARDS, DATA_SUFFIXES, TEXT_SUFFIXES
from core.figures import whole

Why = Literal["archive", "empty", "hidden", "about the data", "other"]
WORDS: dict[Why, str] = {
    "archive": "archives within it, which stay closed: unpack them first",
    "empty": "empty",
    "hidden": "hidden",
    "about the data": "about the data",
    "other": "of no kind that Hone reads",
}
NAMED = 3
LITTER = "__MACOSX"
"""What a Mac puts into archives."""


class Passed(NamedTuple):
    """A file by its name in the folder or archive, and why it is not read."""

    name: str
    why: Why


def sort_out(files: Iterable[tuple[str, int]], packed: Sequence[str] = ()) -> tuple[list[str], list[Passed]]:
    """Which of some files, each a name with slashes and its bytes, are data, and which are passed over; `packed`
    are the suffixes of archives that are opened. Both in the order of their names.

    What is about the data, such as a README.md, counts as data only among other texts. Hidden files that would
    not be read anyhow are the system's own and not worth a word.
    """
    wanted, passed = list[str](), list[Passed]()
    for name, num_bytes in sorted(files):
        place = PurePosixPath(name)
        suffix = place.suffix.lower()
        is_data = suffix in DATA_SUFFIXES or suffix in packed
        if any(part.startswith((".", LITTER)) for part in place.parts):
            passed += [Passed(name, "hidden")] * (is_data and LITTER not in place.parts)
        elif not is_data:
            passed.append(Passed(name, "archive" if suffix in ARCHIVE_SUFFIXES else "other"))
        elif not num_bytes:
            passed.append(Passed(name, "empty"))
        else:
            wanted.append(name)
    if any(not _is_text(name) for name in wanted):
        cards = [name for name in wanted if _is_text(name) and PurePosixPath(name).stem.lower() in CARDS]
        wanted = [name for name in wanted if name not in cards]
        passed += [Passed(name, "about the data") for name in cards]
    return wanted, sorted(passed)


def in_words(passed: Sequence[Passed]) -> str:
    """What is passed over, in one sentence; empty without any."""
    parts = []
    for why, words in WORDS.items():
        names = [one.name for one in passed if one.why == why]
        if names:
            rest = len(names) - NAMED
            listed = ", ".join(names[:NAMED]) + (f" and {whole(rest)} more" if rest > 0 else "")
            parts.append(f"{listed} ({words})")
    return f"Passed over: {'; '.join(parts)}." if parts else ""


def _is_text(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in TEXT_SUFFIXES
