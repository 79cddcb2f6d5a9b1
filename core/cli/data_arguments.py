"""What can be typed after `hone data`: the verbs that look into data, edit it, and find it."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

FILE = "a data file, a folder of them, sample:NAME, or hub:OWNER/NAME"


def add_data_verbs(verbs: Any, add: Callable[..., Any], json: argparse.ArgumentParser, changes: Any) -> None:
    """Put the verbs below `hone data`; `add` makes one, `changes` gives it --set."""
    data = add(verbs, "data", "", "look into data, edit it, and find it on the Hub", [])
    looks = data.add_subparsers(title="what to do", metavar="WHAT", required=True)

    check = add(looks, "check", "datasets:check_data", "how many rows are usable, and what is wrong", [json])
    check.add_argument("file", metavar="FILE", help=FILE)
    check.add_argument(
        "--export", metavar="PROBLEMS", help="write all problems, not only the first hundred, to a .csv or .jsonl"
    )
    check.add_argument("--model", metavar="MODEL", help="look at the rows as this model sees them, too")
    check.add_argument("--personal", action="store_true", help="look for e-mail addresses, phone and card numbers")
    changes(check)

    show = add(looks, "show", "datasets:show_row", "one row, as it is understood", [json])
    show.add_argument("file", metavar="FILE", help=FILE)
    show.add_argument("--row", type=int, default=1, metavar="N", help="which row, counted from 1")
    show.add_argument("--model", metavar="MODEL", help="show it in this model's tokens, with what is trained")
    changes(show)

    stats = add(looks, "stats", "statistics:show_stats", "turns, languages, lengths, personal data", [json])
    stats.add_argument("file", metavar="FILE", help=FILE)
    stats.add_argument("--model", metavar="MODEL", help="count lengths in this model's tokens too")
    stats.add_argument("--sample", action="store_true", help="estimate the tokens from a sample, in a second")
    stats.add_argument("--personal", action="store_true", help="look for e-mail addresses, phone and card numbers")
    changes(stats)

    edit = add(looks, "edit", "editing:edit_data", "change rows, in a file beside the data", [json])
    edit.add_argument("file", metavar="FILE", help=FILE)
    what = edit.add_mutually_exclusive_group(required=True)
    what.add_argument("--exclude", metavar="N", type=int, action="append", help="leave row N out; may be repeated")
    what.add_argument("--set", metavar="N.FIELD=VALUE", help="set a column of row N, or a place such as "
                      "2.messages.1.content")  # fmt: skip
    what.add_argument("--add", metavar="JSON", help="add a row, given as a JSON object")
    what.add_argument("--undo", action="store_true", help="take the last edit back")

    edit.add_argument("--mapping", metavar="MAP", default="{}", help="what columns are for, as in data.mapping")

    search = add(looks, "search", "hub_data:search_data", "find datasets on the Hugging Face Hub", [json])
    search.add_argument("words", metavar="WORDS", nargs="+", help="what their names and topics say")

    about = add(looks, "about", "hub_data:show_dataset", "a Hub dataset's parts and first rows", [json])
    about.add_argument("source", metavar="NAME", help="such as owner/name, owner/name:config or owner/name@split")
    about.add_argument("--rows", type=int, default=3, metavar="N", help="how many rows to show (default: 3)")
