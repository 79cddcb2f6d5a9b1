"""The awkward files: each as it is made, and what reading it must give. The table is meant to be read.

`python tests/core/corpus/awkward.py FOLDER` writes them all out, to be looked at or given to another program.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

Content = bytes | str | Callable[[Path], None]

PAIR = '{"prompt": "What is a hat?", "completion": "A warm thing."}'
ASKED = "\n\nHuman: What is a hat?"
TEXT = '{"text": "Once there was a hat."}'


class Awkward(NamedTuple):
    """A file, how it is made, and what comes of it: rows used and left out, or "!" and part of the sentence."""

    name: str
    content: Content
    outcome: str


def write_all(folder: Path) -> list[tuple[Path, str]]:
    """Every file with its expected outcome."""
    found = []
    for case in FILES:
        place = folder / case.name
        place.parent.mkdir(parents=True, exist_ok=True)
        if callable(case.content):
            case.content(place)
        else:
            place.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
        found.append((place, case.outcome))
    return found


def _gz(content: bytes | str) -> bytes:
    return gzip.compress(content.encode() if isinstance(content, str) else content, mtime=0)


def _zip(*members: tuple[str, bytes | str]) -> bytes:
    made = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore")  # of names given twice
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def _locked(content: bytes) -> bytes:
    """A zip that says it has a password."""
    changed = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.index(mark) + place
        changed[at : at + 2] = struct.pack("<H", 1)
    return bytes(changed)


def _pairs(*pairs: tuple[str | None, str]) -> str:
    """Pairs as HH-RLHF has them: each conversation one text."""
    return "\n".join(json.dumps({"chosen": chosen, "rejected": rejected}) for chosen, rejected in pairs)


def _nested_zip() -> bytes:
    return _zip(("inner.zip", _zip(("a.jsonl", PAIR))))


def _parquet(columns: dict[str, object]) -> Callable[[Path], None]:
    def make(place: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        parquet.write_table(pa.table(columns), place)

    return make


def _cut_parquet(place: Path) -> None:
    _parquet({"text": ["a" * 1000] * 100})(place)
    place.write_bytes(place.read_bytes()[:-40])


def _arrow(place: Path) -> None:
    import pyarrow as pa

    table = pa.table({"text": ["one", "two", None]})
    with pa.OSFile(str(place), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


def _arrow_beyond_its_end(place: Path) -> None:
    """Its texts begin and end where there is nothing: pyarrow, unless told to look, reads there and dies."""
    _arrow(place)
    right, wrong = struct.pack("<4i", 0, 3, 6, 6), struct.pack("<4i", 0, 3, 2**30, 2**30)
    content = place.read_bytes()
    assert right in content
    place.write_bytes(content.replace(right, wrong))


def _nameless(content: bytes) -> bytes:
    """A zip whose member has lost its name."""
    return content.replace(b"a.jsonl", b"\0" * 7)


def _folder(*files: tuple[str, bytes | str]) -> Callable[[Path], None]:
    def make(place: Path) -> None:
        for name, content in files:
            inner = place / name
            inner.parent.mkdir(parents=True, exist_ok=True)
            inner.write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def _loop(place: Path) -> None:
    _folder(("a.jsonl", PAIR))(place)
    (place / "again").symlink_to(place, target_is_directory=True)
    (place / "self.jsonl").symlink_to("self.jsonl")
    (place / "gone.jsonl").symlink_to("nowhere.jsonl")


def _pipe(place: Path) -> None:
    os.mkfifo(place)


def _pipe_within(place: Path) -> None:
    _folder(("a.jsonl", PAIR))(place)
    os.mkfifo(place / "b.jsonl")


def _deep(depth: int) -> str:
    return '{"text": "a", "meta": ' + "[" * depth + "]" * depth + "}\n" + TEXT


MEGABYTES_5 = '{"text": "' + "hat " * (5 * 2**18) + '"}'

FILES = (
    # Encodings
    Awkward("utf8-bom.jsonl", b"\xef\xbb\xbf" + PAIR.encode(), "1 used"),
    Awkward("utf8-bom.csv", b"\xef\xbb\xbfprompt,completion\na,b\n", "1 used"),
    Awkward("utf16-le.jsonl", (PAIR + "\n").encode("utf-16"), "1 used"),
    Awkward("utf16-be.csv", b"\xfe\xff" + "prompt,completion\né,b\n".encode("utf-16-be"), "1 used"),
    Awkward("utf16-odd.jsonl", (PAIR + "\n").encode("utf-16") + b"\x0a", "!UTF-16"),
    Awkward("utf16-no-bom.jsonl", PAIR.encode("utf-16-le"), "!zero bytes"),
    Awkward("utf32.jsonl", PAIR.encode("utf-32"), "!UTF-32"),
    Awkward("latin1.jsonl", '{"text": "caf\xe9"}\n{"text": "tea"}'.encode("latin-1"), "1 used, 1 not UTF-8"),
    Awkward("latin1.csv", "prompt,completion\ncaf\xe9,b\nc,d\n".encode("latin-1"), "1 used, 1 not UTF-8"),
    Awkward("latin1.txt", "A caf\xe9.\n\nTea.".encode("latin-1"), "0 used, 1 not UTF-8"),
    Awkward("latin1-header.csv", "prompt,compl\xe9tion\na,b\n".encode("latin-1"), "!columns prompt, compl"),
    Awkward("cut-in-a-character.txt", "One.\n\nTwo é".encode()[:-1], "0 used, 1 not UTF-8"),
    Awkward("overlong-utf8.jsonl", b'{"text": "\xc0\xaf"}\n' + TEXT.encode(), "1 used, 1 not UTF-8"),
    Awkward("emoji-rtl.jsonl", '{"prompt": "🦊👩‍👩‍👧 שלום", "completion": "\u202eمرحبا\u202c 🏳️‍🌈"}', "1 used"),
    Awkward("combining.txt", "Z" + "\u0301" * 5000, "7 used"),
    # Line ends
    Awkward("crlf.jsonl", f"{PAIR}\r\n{PAIR}\r\n", "2 used"),
    Awkward("cr-only.jsonl", f"{PAIR}\r{PAIR}\r", "2 used"),
    Awkward("cr-only.csv", "prompt,completion\ra,b\rc,d\r", "2 used"),
    Awkward("mixed-ends.jsonl", f"{PAIR}\n{PAIR}\r\n\r\n\n{PAIR}", "3 used"),
    Awkward("no-last-newline.jsonl", f"{PAIR}\n{PAIR}", "2 used"),
    Awkward("no-last-newline.csv", "prompt,completion\na,b", "1 used"),
    Awkward("line-separators.jsonl", '{"text": "a\u2028b\u2029c\u0085d"}', "1 used"),
    Awkward("blank-lines.jsonl", "\n \n\t\n" + PAIR + "\n\n", "1 used, 2 not an object"),
    # Nothing in it
    Awkward("empty.jsonl", "", "!is empty"),
    Awkward("empty.csv", "", "!is empty"),
    Awkward("spaces.jsonl", " \n\t\r\n  ", "!is empty"),
    Awkward("many-blanks.jsonl", "\n" * 200_000, "!holds no rows"),
    Awkward("only-bom.txt", b"\xef\xbb\xbf", "!is empty"),
    Awkward("only-header.csv", "prompt,completion\n", "!holds no rows"),
    Awkward("empty-list.json", "[]", "!holds no rows"),
    Awkward("empty-object.jsonl", "{}\n{}", "!fit no format"),
    Awkward("empty-folder", lambda place: place.mkdir(), "!without a data file"),
    Awkward("empty.zip", _zip(), "!zip archive"),
    Awkward("empty.jsonl.gz", _gz(""), "!is empty"),
    # JSON
    Awkward("nested.json", json.dumps([{"text": "a", "meta": {"b": [1, {"c": [{}]}]}}] * 2, indent=2), "2 used"),
    Awkward("pretty-printed.jsonl", "\n".join([json.dumps(json.loads(PAIR), indent=2)] * 3), "3 used"),
    Awkward("concatenated.json", PAIR * 3, "3 used"),
    Awkward("concatenated-spaced.json", f"{PAIR} {PAIR}\n{PAIR}", "3 used"),
    Awkward("list-of-lists.json", '[["What is a hat?", "A warm thing."], ["Why?", "So."]]',
            "!a list where an object"),
    Awkward("list-of-texts.json", '["Once there was a hat.", "It was warm."]', "!a list where an object"),
    Awkward("numbers.jsonl", "1\n2\n3\n", "!a number where an object"),
    Awkward("rows-within-an-object.json", f'{{"data": [{PAIR}, {PAIR}]}}', "2 used"),
    Awkward("rows-deep-within-an-object.json", f'{{\n "train":\n [\n{PAIR},\n{{"prompt": 3}}], "version": [2]}}',
            "1 used, 1 missing field"),
    Awkward("rows-within-that-break-off.json", f'{{"data": [{PAIR}, {PAIR[:20]}', "1 used, 1 invalid JSON"),
    Awkward("one-object.json", '{\n "text": "a"\n}\n', "1 used"),
    Awkward("trailing-comma.jsonl", '{"text": "a",}\n' + TEXT, "1 used, 1 invalid JSON"),
    Awkward("trailing-comma.json", f"[{PAIR}, {PAIR},]", "2 used"),
    Awkward("commas-between-lines.jsonl", f"{PAIR},\n{PAIR},\n{PAIR}", "1 used, 2 invalid JSON"),
    Awkward("comments.jsonl", f"// made by hand\n{PAIR}\n# more\n{PAIR}", "2 used, 2 invalid JSON"),
    Awkward("single-quotes.jsonl", "{'text': 'a'}\n" + TEXT, "1 used, 1 invalid JSON"),
    Awkward("nan-infinity.jsonl", '{"text": "a", "score": NaN}\n{"text": "b", "score": -Infinity}', "2 used"),
    Awkward("nan-text.jsonl", '{"text": NaN}\n' + TEXT, "1 used, 1 not text"),
    Awkward("huge-integers.jsonl", f'{{"text": "a", "n": {"9" * 4000}}}\n{{"text": "b", "n": {"9" * 9000}}}',
            "1 used, 1 invalid JSON"),
    Awkward("huge-exponent.jsonl", '{"text": "a", "n": 1e999999}', "1 used"),
    Awkward("deep-100.jsonl", _deep(100), "2 used"),
    Awkward("deep-100000.jsonl", _deep(100_000), "1 used, 1 invalid JSON"),
    Awkward("deep-list.json", "[" * 200_000, "!line 1"),
    Awkward("duplicate-keys.jsonl", '{"text": "a", "text": "b"}\n' + TEXT, "1 used, 1 repeated key"),
    Awkward("lone-surrogate.jsonl", '{"text": "a \\ud83d b"}\n' + TEXT, "1 used, 1 not text"),
    Awkward("surrogate-pair.jsonl", '{"text": "\\ud83e\\udd8a"}', "1 used"),
    Awkward("escaped-nul.jsonl", '{"text": "a\\u0000b"}', "1 used"),
    Awkward("raw-control.jsonl", b'{"text": "a\x01b"}\n' + TEXT.encode(), "1 used, 1 invalid JSON"),
    Awkward("raw-tab.jsonl", '{"text": "a\tb"}\n' + TEXT, "1 used, 1 invalid JSON"),
    Awkward("nul-bytes.jsonl", b'{"text": "a\0b"}\n', "!zero bytes"),
    Awkward("nul-bytes-late.jsonl", (TEXT + "\n").encode() * 3000 + b'{"text": "\0"}\n',
            "3000 used, 1 invalid JSON"),
    Awkward("breaks-off.jsonl", f"{PAIR}\n{PAIR[:30]}", "1 used, 1 invalid JSON"),
    Awkward("breaks-off.json", f"[{PAIR}, {PAIR[:30]}", "1 used, 1 invalid JSON"),
    Awkward("text-after-list.json", f"[{PAIR}] and more", "1 used, 1 invalid JSON"),
    Awkward("bracket-in-text.json", '[{"text": "]}{["}, {"text": "\\"]"}]', "2 used"),
    Awkward("null-roles.jsonl", '{"messages": [{"role": null, "content": "a"}]}\n', "0 used, 1 unknown role"),
    Awkward("null-content.jsonl",
            '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": null}]}\n',
            "0 used, 1 no answer"),
    Awkward("null-columns.jsonl", '{"prompt": null, "completion": "b"}\n{"prompt": "a", "completion": null}',
            "0 used, 1 no answer, 1 not text"),
    Awkward("mixed-schemas.jsonl", f'{PAIR}\n{PAIR}\n{TEXT}\n{{"messages": []}}', "2 used, 2 missing field"),
    Awkward("strange-names.jsonl", json.dumps({"\n\x1b[31m": 1, "🦊" * 50: 2}), "!fit no format"),
    Awkward("many-columns.jsonl", json.dumps({f"c{n}": n for n in range(5000)}), "!c0, c1"),
    # Conversations in one text
    Awkward("transcripts.jsonl", _pairs(
        (f"{ASKED}\n\nAssistant: A hat.", f"{ASKED}\n\nAssistant: No."),
        (f"{ASKED}\n\nAssistant: A hat.\n\nHuman: Red?\n\nAssistant: Blue:\n\n1. Hat",
         f"{ASKED}\n\nAssistant: A hat.\n\nHuman: Red?\n\nAssistant: Yes.\n\nHuman: Why?\n\nAssistant: So."),
        (f"{ASKED}\r\n\r\nAssistant: A hat.", f"{ASKED[2:]}\n\n\nAssistant:No."),
        (f"{ASKED}\n\nAssistant: A hat.", f"{ASKED}\n\nAssistant:  "),
        (f"{ASKED}\n\nAssistant: A hat.\n\nHuman: Red?", f"{ASKED}\n\nAssistant: No."),
        (f"{ASKED}\n\nHuman: Red?\n\nAssistant: A hat.", f"{ASKED}\n\nAssistant: No."),
        ("A hat.", f"{ASKED}\n\nAssistant: No."),
        ("Once.\n\nHuman: Why?\n\nAssistant: So.", f"{ASKED}\n\nAssistant: No."),
        ("\n\nHuman: Another?\n\nAssistant: A hat.", f"{ASKED}\n\nAssistant: No."),
        (None, f"{ASKED}\n\nAssistant: No."),
        *[(f"{ASKED} {n}\n\nAssistant: A hat.", f"{ASKED} {n}\n\nAssistant: No.") for n in range(9)],
    ), "12 used, 1 empty answer, 2 no answer, 4 wrong role order"),
    Awkward("blank-transcripts.jsonl", _pairs(*[
        (("\n" * 2**20).join(("", ASKED, "Assistant: a")), f"{ASKED}\n\nAssistant: b")] * 2), "2 used"),
    # Long
    Awkward("5-megabytes.jsonl", MEGABYTES_5, "1 used"),
    Awkward("5-megabytes.txt", "hat " * (5 * 2**18), "3496 used"),
    Awkward("5-megabytes-one-word.txt", "h" * (5 * 2**20), "3496 used"),
    Awkward("20-megabytes.jsonl", '{"text": "' + "h" * (20 * 2**20) + '"}\n' + TEXT, "1 used, 1 line too long"),
    Awkward("a-million-objects.jsonl", '{"text": "a", "x": [' + "{}," * 2_000_000 + "{}]}\n" + TEXT,
            "1 used, 1 line too long"),
    Awkward("wide-characters.jsonl", '{"text": "' + "🦊" * 2**20 + '"}', "1 used"),
    Awkward("escapes.jsonl", '{"text": "' + "\\u00e9" * 2**20 + '"}', "1 used"),
    Awkward("backslashes.json", '[{"text": "' + "\\\\" * 5 * 2**19 + '"}]', "1 used"),
    Awkward("open-string.json", '[{"text": "' + "h" * (9 * 2**20), "!line 1"),
    Awkward("twenty-thousand.jsonl", (TEXT + "\n") * 20_000, "20000 used"),
    # Tables
    Awkward("ragged.csv", "prompt,completion\na,b\nonly one\na,b,c\n", "1 used, 2 ragged row"),
    Awkward("quoted-newlines.csv", 'prompt,completion\n"two\nlines","and\r\n\r\nmore"\nc,d\n', "2 used"),
    Awkward("open-quote.csv", 'prompt,completion\n"never,closed\nc,d\n', "1 used, 1 ragged row"),
    Awkward("quotes-within.csv", 'prompt,completion\n5" disk,"say ""hi"""\n', "1 used"),
    Awkward("semicolons.csv", "prompt;completion\na;b\n", "1 used"),
    Awkward("tabs.tsv", "prompt\tcompletion\na\tb\n", "1 used"),
    Awkward("one-column.csv", "text\nOnce there was a hat.\n", "1 used"),
    Awkward("same-name-twice.csv", "prompt,prompt\na,b\n", "!twice"),
    Awkward("no-names.csv", ",,\na,b,c\n", "!without a name"),
    Awkward("separator-line.csv", "sep=;\nprompt;completion\na;b\n", "1 used"),
    Awkward("nul.csv", b"prompt,completion\na\0,b\n", "!zero bytes"),
    Awkward("a-very-long-header.csv", "x" * 100_000 + ",completion\na,b\n", "!header"),
    # Files in files
    Awkward("truncated.jsonl.gz", _gz((PAIR + "\n") * 500)[:-40], "!damaged gzip"),
    Awkward("bad-checksum.jsonl.gz", _gz(PAIR)[:-8] + bytes(8), "!damaged gzip"),
    Awkward("two-members.jsonl.gz", _gz(PAIR + "\n") + _gz(PAIR + "\n"), "2 used"),
    Awkward("tail-of-zeros.jsonl.gz", _gz(PAIR) + bytes(512), "1 used"),
    Awkward("gzip-in-gzip.jsonl.gz", _gz(_gz(PAIR)), "!within"),
    Awkward("no-gzip.jsonl.gz", PAIR, "1 used"),
    Awkward("bomb.jsonl.gz", _gz(bytes(100 * 2**20)), "!200 times"),
    Awkward("bomb.zip", _zip(("a.jsonl", bytes(100 * 2**20))), "!200 times"),
    Awkward("dots.zip", _zip(("good.jsonl", PAIR), ("../../evil.jsonl", PAIR)), "!outside itself"),
    Awkward("absolute.zip", _zip(("/etc/evil.jsonl", PAIR)), "!outside itself"),
    Awkward("backslash.zip", _zip(("..\\evil.jsonl", PAIR)), "!outside itself"),
    Awkward("same-name-twice.zip", _zip(("a.jsonl", PAIR), ("a.jsonl", PAIR)), "2 used"),
    Awkward("zip-in-zip.zip", _nested_zip(), "!within"),
    Awkward("locked.zip", _locked(_zip(("a.jsonl", PAIR))), "!password"),
    Awkward("cut.zip", _zip(("a.jsonl", (PAIR + "\n") * 100))[:-30], "!damaged zip"),
    Awkward("nameless.zip", _nameless(_zip(("a.jsonl", PAIR))), "!damaged zip"),
    Awkward("two-kinds.zip", _zip(("a.jsonl", PAIR), ("b.csv", "prompt,completion\nc,d\ne\n")),
            "2 used, 1 ragged row"),
    Awkward("pictures.zip", _zip(("a.png", b"\x89PNG")), "!without a file"),
    Awkward("a.tar.gz", _gz(b"a.jsonl" + bytes(250) + b"ustar" + bytes(762)), "!tar archive"),
    # Columns on disk
    Awkward("nested.parquet", _parquet({"messages": [
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], None, []]}),
        "1 used, 1 no answer, 1 not text"),
    Awkward("bytes-and-times.parquet",
            _parquet({"text": ["a", "b"], "raw": [b"\xff", None], "n": [1.5, float("nan")]}), "2 used"),
    Awkward("no-rows.parquet", _parquet({"text": []}), "!is empty"),
    Awkward("cut.parquet", _cut_parquet, "!damaged table"),
    Awkward("parquet-under.json", _parquet({"text": ["a", "b"]}), "2 used"),
    Awkward("stream.arrow", _arrow, "2 used, 1 not text"),
    Awkward("beyond-its-end.arrow", _arrow_beyond_its_end, "!damaged table"),
    Awkward("json-under.parquet", PAIR, "1 used"),
    Awkward("only-the-mark.parquet", b"PAR1", "!damaged table"),
    # Folders and things that are no files
    Awkward("loop", _loop, "1 used"),
    Awkward("mixed-folder", _folder(("a.jsonl", PAIR), ("b.csv", "prompt,completion\na,b\n"),
            ("c.png", b"\x89PNG"), ("d/e.json", f"[{PAIR}]"), (".hidden.jsonl", "junk")), "3 used"),
    Awkward("rows-and-texts", _folder(("a.jsonl", PAIR), ("b.txt", "Once.")), "!mixes plain text"),
    Awkward("one-bad-file", _folder(("a.jsonl", PAIR), ("b.jsonl", b"\0")), "!b.jsonl"),
    Awkward("pipe.jsonl", _pipe, "!not a file"),
    Awkward("pipe-within", _pipe_within, "1 used"),
    # Under a wrong name
    Awkward("csv-under.jsonl", "prompt,completion\na,b\n", "!line 1"),
    Awkward("json-under.csv", f"{PAIR}\n{PAIR}", "2 used"),
    Awkward("json-under.txt", PAIR, "1 used"),
    Awkward("json-without-suffix", PAIR, "1 used"),
    Awkward("text-without-suffix", "Once there was a hat.", "!neither JSON nor"),
    Awkward("page.html", "<!doctype html><p>Once</p>", "!web page"),
    Awkward("page-under.jsonl", "<!doctype html><p>404</p>", "!web page"),
    Awkward("pickle-under.jsonl", b"\x80\x04\x95", "!pickle"),
    Awkward("pointer.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n", "!LFS"),
)  # fmt: skip


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write_all(target)
