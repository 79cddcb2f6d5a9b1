"""Hub datasets against a Hub on loopback: search, parts, first rows without a download, download, offline use."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from data_hub_stand_in import OWN_COMMIT, PARQUET_COMMIT, DataStandIn
from hub_stand_in import Repository
from huggingface_hub import constants

from core.cli import main
from core.data import remote
from core.data.edits import exclude
from core.data.fingerprint import fingerprint
from core.data.hub import find_part, parts_of, preview, search
from core.data.hub_parts import choose, parse, stored_parts
from core.data.overlay import overlay_file
from core.data.rows import Problem, Row, open_rows
from core.download import download_data
from core.errors import HoneError
from core.events import Event, Failed, Finished, Progress, decode
from core.launch import PROJECT
from core.models import transfer

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyarrow as pa
    import pyarrow.parquet as parquet

NAME = "maker/pairs"


def table(name: str, count: int, group: int = 1000) -> bytes:
    rows = [{"prompt": f"{name} {n}", "completion": f"answer {n} {os.urandom(400).hex()}"} for n in range(count)]
    made = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), made, row_group_size=group)
    return made.getvalue()


def lines(name: str, count: int) -> bytes:
    rows = ({"prompt": f"{name} {n}", "completion": "x" * 50} for n in range(count))
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataStandIn]:
    hub = DataStandIn()
    converted = {
        "default/train/0000.parquet": table("train", 40), "default/train/0001.parquet": table("more", 10),
        "default/test/0000.parquet": table("test", 5), "other/train/0000.parquet": table("other", 5),
    }  # fmt: skip
    hub.datasets[NAME] = Repository({"README.md": b"# Pairs"}), Repository(converted, set(converted))
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", hub.url, raising=False)
    monkeypatch.setattr(transfer, "TRIES", 2)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield hub
    hub.close()


def fetch(source: str) -> list[Event]:
    events: list[Event] = []
    download_data(source, events.append)
    return events


def test_datasets_are_found_by_words(hub: DataStandIn) -> None:
    (found,) = search("pair")
    assert (found.name, found.downloads, found.rows, found.about) == (NAME, 7, "1K<n<10K", "Rows to try.")
    assert search("nothing like it") == []
    with pytest.raises(HoneError):
        search(" ")


def test_parts_are_those_of_the_parquet_branch(hub: DataStandIn) -> None:
    parts = {str(part.source): [file.name for file in part.files] for part in parts_of(NAME)}
    assert parts == {
        f"hub:{NAME}:default@train": ["default/train/0000.parquet", "default/train/0001.parquet"],
        f"hub:{NAME}:default@test": ["default/test/0000.parquet"],
        f"hub:{NAME}:other@train": ["other/train/0000.parquet"],
    }
    assert {part.commit for part in parts_of(NAME)} == {PARQUET_COMMIT}


@pytest.mark.parametrize(("typed", "part"), [("", "default@train"), (":default", "default@train"),
                                             (":other", "other@train"), ("@test", "default@test")])  # fmt: skip
def test_the_usual_part_is_taken_unless_one_is_named(hub: DataStandIn, typed: str, part: str) -> None:
    assert str(find_part(f"hub:{NAME}{typed}").source) == f"hub:{NAME}:{part}"


@pytest.mark.parametrize("typed", [":none", "@none", ":other@test"])
def test_a_part_that_is_none_is_told_the_known(hub: DataStandIn, typed: str) -> None:
    with pytest.raises(HoneError, match=r"has no part .*default@train"):
        find_part(NAME + typed)


def test_own_files_stand_where_the_hub_made_no_parquet(hub: DataStandIn) -> None:
    files = {"data/train-00000.jsonl": lines("a", 3), "data/valid.jsonl.gz": gzip.compress(lines("b", 3)),
             "README.md": b"#", "notes.py": b"import os", "../evil.jsonl": lines("c", 1)}  # fmt: skip
    hub.datasets["maker/own"] = Repository(files), None
    parts = {(part.source.config, part.source.split): part for part in parts_of("maker/own")}
    assert list(parts) == [("default", "train"), ("default", "validation")]
    assert parts["default", "train"].commit == OWN_COMMIT
    hub.cards["maker/own"] = {"configs": [{"config_name": "a", "data_files": [
        {"split": "all", "path": ["data/*.jsonl", "data/**/*.gz"]}]}]}  # fmt: skip
    (part,) = parts_of("maker/own")
    assert (part.source.config, part.source.split, len(part.files)) == ("a", "all", 2)
    for card in ({"configs": "x"}, {"configs": [3]}, {"configs": [{"data_files": [{}]}]}, {}):
        hub.cards["maker/own"] = card
        assert len(parts_of("maker/own")) == 2
    hub.datasets["maker/none"] = Repository({"README.md": b"#"}), None
    with pytest.raises(HoneError, match="no file that Hone reads"):
        parts_of("maker/none")


def test_the_first_rows_cost_a_part_of_the_file(hub: DataStandIn) -> None:
    big = table("big", 20_000, group=20_000)
    hub.datasets["maker/big"] = Repository({}), Repository({"default/train/0000.parquet": big})
    found = preview(find_part("maker/big"), 5)
    assert found.format == "prompt"
    assert [row.messages[0].content for row in found.rows if isinstance(row, Row)] == [
        f"big {n}" for n in range(5)
    ]
    assert found.columns == ("prompt", "completion")
    assert found.num_bytes < len(big) / 4
    assert hub.bytes_sent < len(big) / 2


@pytest.mark.parametrize("packed", [False, True])
def test_the_first_lines_of_a_text_file(hub: DataStandIn, packed: bool) -> None:
    content = lines("line", 50_000)
    name = "train.jsonl.gz" if packed else "train.jsonl"
    hub.datasets["maker/l"] = Repository({name: gzip.compress(content) if packed else content}), None
    found = preview(find_part("maker/l"), 50)
    assert len(found.rows) == 50
    assert not any(isinstance(row, Problem) for row in found.rows)


def test_columns_of_no_format_are_shown_all_the_same(hub: DataStandIn) -> None:
    hub.datasets["maker/odd"] = Repository({"a.jsonl": b'{"titel": "a", "wert": 1}\n'}), None
    found = preview(find_part("maker/odd"))
    assert found.trees == [{"titel": "a", "wert": 1}]
    assert found.format is None
    assert "hub:maker/odd" in found.reason
    assert "hone-preview" not in found.reason


def test_a_preview_stops_when_it_is_no_longer_wanted_or_too_large(
    hub: DataStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(HoneError, match="no longer wanted"):
        preview(find_part(NAME), is_wanted=lambda: False)
    monkeypatch.setattr(remote, "MOST_BYTES", 1000)
    with pytest.raises(HoneError, match="too large"):
        preview(find_part(NAME))


def test_a_part_is_downloaded_once_and_read_offline(hub: DataStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HoneError, match=r"hone download --data maker/pairs`"):
        open_rows(f"hub:{NAME}")
    events = fetch(NAME)
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress[-1].unit == "bytes"
    assert "Downloading maker/pairs" in progress[0].label
    asked = len(hub.requests)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for source in (f"hub:{NAME}", f"hub:{NAME}:default@train", f"hub:{NAME}@train"):
        rows = open_rows(source)
        assert len(rows) == 50
        assert rows[49].messages[0].content == "more 9"
        assert rows.file_of(49) == "default/train/0001.parquet"
        assert fingerprint(source) == fingerprint(f"hub:{NAME}")
    assert len(hub.requests) == asked
    with pytest.raises(HoneError, match="of it there is hub:maker/pairs:default@train"):
        open_rows(f"hub:{NAME}@test")
    exclude(f"hub:{NAME}", [0])
    assert isinstance(open_rows(f"hub:{NAME}:default@train")[0], Problem)
    assert overlay_file(f"hub:{NAME}").name.endswith(".hone.jsonl")


def test_a_second_download_only_checks(hub: DataStandIn) -> None:
    fetch(NAME)
    sent = hub.bytes_sent
    assert any("Checking" in event.label for event in fetch(NAME) if isinstance(event, Progress))
    assert hub.bytes_sent - sent < 20_000
    fetch(f"{NAME}@test")
    assert {part.source.split for part in stored_parts(NAME)} == {"train", "test"}
    assert len(open_rows(f"hub:{NAME}")) == 50


def test_what_breaks_off_goes_on_and_damage_is_found(hub: DataStandIn) -> None:
    big = table("big", 3000)
    hub.datasets["maker/big"] = Repository({}), Repository({"default/train/0000.parquet": big})
    hub.cut_after = len(big) // 3
    fetch("maker/big")
    assert len(hub.asked("0000.parquet")) >= 3
    assert len(open_rows("hub:maker/big")) == 3000
    hub.cut_after = 0
    hub.flipped["other/train/0000.parquet"] = 1
    with pytest.raises(HoneError, match="damaged"):
        fetch(f"{NAME}:other")
    assert stored_parts(NAME) == []
    fetch(f"{NAME}:other")
    assert len(open_rows(f"hub:{NAME}:other")) == 5


@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (404, {"X-Error-Code": "RepoNotFound"}, "has no dataset maker/pairs"),
        (403, {"X-Error-Code": "GatedRepo"}, "/datasets/maker/pairs"),
        (429, {}, "slow down"),
        (500, {}, "answers with an error"),
    ],
)
def test_refusals_are_one_sentence(
    hub: DataStandIn, monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str], words: str
) -> None:
    hub.api_answer = status, headers
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for ask in (search, parts_of, find_part, fetch):
        with pytest.raises(HoneError) as caught:
            ask(NAME)
        assert words in caught.value.message
        assert caught.value.path == "data.source"
        assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "typed", ["", "hub:", "a/b/c", "../a", "a/..", "a b", "a/b:c:d", "a/b@", "/etc", "x" * 300]
)
def test_names_that_are_none(typed: str) -> None:
    with pytest.raises(HoneError):
        parse(typed)
    with pytest.raises(HoneError):
        open_rows(f"hub:{typed}")


def test_the_usual_part() -> None:
    assert choose([("a", "b")]) == ("a", "b")
    assert choose([("a", "x"), ("default", "train"), ("default", "test")]) == ("default", "train")
    assert choose([("a", "x"), ("a", "y")]) is None
    assert choose([("a", "train"), ("b", "train")]) is None


def test_a_record_without_its_files_is_not_taken_for_the_data(hub: DataStandIn) -> None:
    fetch(NAME)
    (part,) = stored_parts(NAME)
    next(part.folder.rglob("*.parquet")).unlink()
    with pytest.raises(HoneError, match="not on this machine"):
        open_rows(f"hub:{NAME}")
    (part.folder.parent.parent / "bad@bad.json").write_text("{")
    assert stored_parts(NAME) == []


def test_a_download_that_is_killed_goes_on(hub: DataStandIn, tmp_path: Path) -> None:
    big = table("big", 4000)
    hub.datasets["maker/big"] = Repository({}), Repository({"default/train/0000.parquet": big})
    environment = {
        **os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "PYTHONPATH": str(PROJECT),
        "HF_HUB_CACHE": str(tmp_path / "home" / "hub"),
    }  # fmt: skip
    command = [sys.executable, "-P", "-m", "core.download", "--data", "maker/big"]
    hub.seconds_per_piece = 0.05
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=PROJECT) as process:
        deadline = time.monotonic() + 60
        while hub.bytes_sent < len(big) // 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert stored_parts("maker/big") == []
    hub.seconds_per_piece = 0
    done = subprocess.run(command, capture_output=True, env=environment, cwd=PROJECT, timeout=120)
    assert done.returncode == 0
    events = [decode(line) for line in done.stdout.splitlines()]
    assert isinstance(events[-1], Finished)
    assert not any(isinstance(event, Failed) for event in events)
    ranges = [asked for _, asked in hub.asked("0000.parquet")]
    assert int(ranges[-1].removeprefix("bytes=").removesuffix("-")) > 0
    assert len(open_rows("hub:maker/big")) == 4000


def test_the_command_line_searches_and_looks(hub: DataStandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "search", "pairs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["datasets"][0]["name"] == NAME
    assert main(["data", "about", f"{NAME}@test", "--rows", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["parts"]) == 3
    assert [row["messages"][0]["content"] for row in found["rows"]] == ["test 0", "test 1"]
    assert main(["data", "about", NAME]) == 0
    told = capsys.readouterr().out
    assert "train 0" in told
    assert f"hub:{NAME}:other@train" in told
    assert main(["data", "check", f"hub:{NAME}"]) == 1
    assert "hone download --data" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer", [b"<html>", b'{"error": ""}', b"[3]", b'[{"id": 3, "tags": 4}]', b"[{}]", b"null"]
)
def test_what_is_no_hub_is_told(hub: DataStandIn, monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    hub.search_answer = answer
    with pytest.raises(HoneError, match="not as a Hugging Face Hub"):
        search("pairs")


def test_a_network_that_is_not_there_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.hf_api.ENDPOINT", "http://127.0.0.1:9", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    began = time.monotonic()
    for ask in (search, parts_of, find_part, fetch):
        with pytest.raises(HoneError, match="No connection"):
            ask(NAME)
    assert time.monotonic() - began < 20
