"""How files of data are named, by what they hold; of archives and of what is beside data, too."""

from __future__ import annotations

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".markdown")
TABLE_SUFFIXES = {".csv": ",;\t|", ".tsv": "\t"}
"""With what may stand between fields."""
TABLE_FILES = (".parquet", ".arrow")
SUFFIXES = (*JSON_SUFFIXES, *TEXT_SUFFIXES, *TABLE_SUFFIXES)
DATA_SUFFIXES = (*SUFFIXES, *TABLE_FILES)
PACKED_SUFFIXES = (".gz", ".zip")
ARCHIVE_SUFFIXES = (*PACKED_SUFFIXES, ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
OVERLAY_SUFFIX = ".hone.jsonl"
"""Of files of edits, which stand beside the data and are none of it."""
READABLE = "Hone reads .jsonl, .json, .csv, .tsv, .parquet, .arrow, .txt and .md files, and .gz and .zip of them"
CARDS = frozenset({"readme", "license", "licence", "copying", "notice", "changelog", "contributing", "citation"})
"""Texts that come with data and are about it."""
