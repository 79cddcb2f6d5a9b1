"""Downloads against a Hub on loopback: whole, cut, killed, damaged, refused."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hub_stand_in import COMMIT, Repository, StandIn
from huggingface_hub import constants
from safetensors.numpy import save

from core.download import download_model
from core.errors import HoneError
from core.events import Event, Failed, Finished, Progress, Warned, decode
from core.launch import PROJECT
from core.models import transfer
from core.models.cache import models_on_disk
from core.models.source import find_model

NAME = "maker/small"


def small_model(kilobytes: int = 300) -> Repository:
    """A repository with real safetensors, and much that must not be fetched."""
    weights = save({"w": np.random.default_rng(0).integers(0, 255, kilobytes * 1024, np.uint8)})
    files = {
        "config.json": b'{"model_type": "llama"}',
        "tokenizer.json": b'{"version": "1.0"}' * 1000,
        "chat_template.jinja": b"{{ messages }}",
        "additional_chat_templates/tools.jinja": b"{{ tools }}",
        "README.md": b"---\nlicense: mit\n---\n",
        "model.safetensors": weights,
        "modeling_evil.py": b"import os",
        "pytorch_model.bin": b"\x80\x04.",
        "training_args.bin": b"\x80\x04.",
        "original/params.json": b"{}",
        "consolidated.safetensors": weights,
        "model.gguf": b"GGUF",
    }
    return Repository(files, {"model.safetensors", "consolidated.safetensors", "pytorch_model.bin"})


def sharded_model(shards: int = 3) -> Repository:
    files, places = {"config.json": b'{"model_type": "llama"}'}, {}
    for i in range(shards):
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        files[file] = save({f"w{i}": np.full(200_000, i, np.float32)})
        places[f"w{i}"] = file
    files["model.safetensors.index.json"] = json.dumps({"weight_map": places}).encode()
    return Repository(files, set(places.values()))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    hub = StandIn()
    hub.repositories[NAME] = small_model()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "home" / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(transfer, "TRIES", 2)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield hub
    hub.close()


def fetch(name: str = NAME, revision: str = "") -> list[Event]:
    events: list[Event] = []
    download_model(name, revision, events.append)
    return events


def refusal(name: str = NAME, revision: str = "", path: str = "model.source") -> str:
    with pytest.raises(HoneError) as caught:
        fetch(name, revision)
    assert caught.value.path == path
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


def repository_folder() -> Path:
    return Path(constants.HF_HUB_CACHE) / "models--maker--small"


def partials() -> list[Path]:
    return sorted(repository_folder().glob("blobs/*.incomplete"))


def test_a_download_brings_what_training_needs_and_nothing_else(hub):
    events = fetch()
    found = find_model(NAME)
    assert (found.commit, found.name) == (COMMIT, NAME)
    repository = hub.repositories[NAME]
    fetched = {path.relative_to(found.path).as_posix() for path in found.path.rglob("*") if path.is_file()}
    assert fetched == {
        "config.json", "tokenizer.json", "chat_template.jinja", "additional_chat_templates/tools.jinja",
        "README.md", "model.safetensors",
    }  # fmt: skip
    for name in fetched:
        assert (found.path / name).read_bytes() == repository.files[name]
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.done == last.total == sum(len(repository.files[name]) for name in fetched)
    assert (last.unit, last.label) == ("bytes", f"Downloading {NAME}")
    assert not partials()


def test_the_library_itself_finds_the_files(hub):
    from huggingface_hub import try_to_load_from_cache

    fetch()
    found = try_to_load_from_cache(NAME, "model.safetensors", cache_dir=constants.HF_HUB_CACHE)
    assert isinstance(found, str)
    assert Path(found).read_bytes() == hub.repositories[NAME].files["model.safetensors"]


def test_shards_come_by_the_index(hub):
    hub.repositories[NAME] = sharded_model()
    hub.repositories[NAME].files["extra.safetensors"] = b"not asked for"
    fetch()
    assert len(list(find_model(NAME).path.glob("*.safetensors"))) == 3
    assert not hub.asked("extra.safetensors")


def test_a_second_download_checks_and_fetches_nothing(hub):
    fetch()
    hub.requests.clear()
    events = fetch()
    assert [path for path, _ in hub.requests] == [f"/api/models/{NAME}"]
    assert any(isinstance(event, Progress) and event.label == f"Checking {NAME}" for event in events)


def test_a_revision_is_kept_apart_from_main(hub):
    fetch(revision="v1")
    assert find_model(NAME, "v1").commit == COMMIT
    with pytest.raises(HoneError, match="hone download"):
        find_model(NAME)
    fetch(revision=COMMIT)
    assert find_model(NAME, COMMIT).commit == COMMIT


def test_a_connection_that_breaks_is_taken_up_where_it_broke(hub):
    hub.cut_after = 200_000
    fetch()
    find_model(NAME)
    ranges = [asked for _, asked in hub.asked("storage") if asked]
    assert ranges == ["bytes=200000-"]


def test_a_connection_that_brings_nothing_is_given_up_and_kept(hub):
    hub.file_answer = (503, {})
    assert "(503)" in refusal()
    hub.file_answer = None
    fetch()
    find_model(NAME)


def test_a_server_without_ranges_starts_the_file_over(hub):
    target = repository_folder() / "blobs"
    target.mkdir(parents=True)
    listing = {entry["rfilename"]: entry for entry in hub.repositories[NAME].listing()["siblings"]}
    sha = listing["model.safetensors"]["lfs"]["sha256"]
    (target / f"{sha}.hone.incomplete").write_bytes(b"\0" * 5000)
    hub.knows_ranges = False
    events = fetch()
    find_model(NAME)
    last = [event for event in events if isinstance(event, Progress)][-1]
    assert last.done == last.total


def test_a_wrong_start_left_by_an_earlier_try_is_replaced(hub):
    target = repository_folder() / "blobs"
    target.mkdir(parents=True)
    listing = {entry["rfilename"]: entry for entry in hub.repositories[NAME].listing()["siblings"]}
    sha = listing["model.safetensors"]["lfs"]["sha256"]
    for left in (b"\1" * 5000, b"\1" * 1_000_000):
        (target / f"{sha}.hone.incomplete").write_bytes(left)
        events = fetch()
        find_model(NAME)
        last = [event for event in events if isinstance(event, Progress)][-1]
        assert last.done == last.total
        shutil.rmtree(repository_folder() / "snapshots")
        (target / sha).unlink()


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_one_wrong_bit_is_found_named_and_removed(hub, name):
    hub.flipped[name] = 1
    message = refusal()
    assert name in message
    assert "damaged" in message
    with pytest.raises(HoneError):
        find_model(NAME)
    names = {entry["rfilename"]: entry for entry in hub.repositories[NAME].listing()["siblings"]}
    blob = names[name].get("lfs", {}).get("sha256") or names[name]["blobId"]
    assert not list(repository_folder().glob(f"blobs/{blob}*"))
    fetch()
    find_model(NAME)


def test_a_file_damaged_on_disk_is_repaired(hub):
    fetch()
    weights = (find_model(NAME).path / "model.safetensors").resolve()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    events = fetch()
    assert [event.message for event in events if isinstance(event, Warned)] == [
        "model.safetensors was damaged on disk and is fetched again."
    ]
    assert (find_model(NAME).path / "model.safetensors").read_bytes() == hub.repositories[NAME].files[
        "model.safetensors"
    ]


def test_systems_without_links_get_the_files_themselves(hub, monkeypatch):
    def refuse(*_):
        raise OSError("no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    fetch()
    weights = find_model(NAME).path / "model.safetensors"
    assert weights.is_file()
    assert not weights.is_symlink()
    hub.requests.clear()
    fetch()
    assert len(hub.requests) == 1


def test_a_full_disk_is_foreseen(hub, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=100_000_000))
    message = refusal()
    assert "needs" in message
    assert "95.4 MiB free" in message
    assert not hub.asked("storage")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_is_told(hub, monkeypatch):
    from core.models.fetch import Fetch

    monkeypatch.setattr(Fetch, "_partial", lambda self, file: Path("/dev/full"))
    assert "disk is full" in refusal()


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_a_cache_that_cannot_be_written_is_named(hub, tmp_path):
    (tmp_path / "home").write_text("a file in the way")
    assert "cannot be written" in refusal()


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ((401, {"X-Error-Code": "RepoNotFound"}), "has no model maker/small"),
        ((404, {"X-Error-Code": "RepoNotFound"}), "has no model maker/small"),
        ((403, {"X-Error-Code": "GatedRepo"}), "is gated: accept its terms"),
        ((401, {"X-Error-Message": "Invalid credentials in Authorization header"}), "HF_TOKEN is valid"),
        ((403, {}), "HF_TOKEN is valid"),
        ((429, {}), "slow down"),
        ((500, {}), "(500)"),
    ],
)
def test_refusals_are_put_into_words(hub, answer, part):
    hub.api_answer = answer
    assert part in refusal()


def test_a_gated_file_says_how_to_get_access(hub, monkeypatch):
    hub.file_answer = (403, {"X-Error-Code": "GatedRepo"})
    assert "set HF_TOKEN" in refusal()
    monkeypatch.setenv("HF_TOKEN", "hf_secretsecret")
    message = refusal()
    assert "ask for access" in message
    assert "hf_secret" not in message


def test_a_missing_revision_is_told_at_its_field(hub):
    assert "no revision 'v9'" in refusal(revision="v9", path="model.revision")
    assert "not a branch" in refusal(revision="../../up", path="model.revision")
    assert not hub.asked("up")


def test_names_that_are_none_are_refused_before_any_request(hub):
    for name in ("starter:storyteller", "a/b/c", "../x", "", "x y", "https://huggingface.co/maker/small"):
        assert "not a Hugging Face name" in refusal(name)
    assert not hub.requests


def test_no_network_is_told(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "No connection to" in refusal()


def test_offline_mode_is_told(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refusal()


@pytest.mark.parametrize(
    ("files", "part"),
    [
        ({"pytorch_model.bin": b"x"}, "pickle"),
        ({"model.gguf": b"x"}, "GGUF"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": b"x"}, "is an adapter"),
        ({"notes.txt": b"x"}, "no model.safetensors"),
        ({"model.safetensors.index.json": b'{"weight_map": {"a": "model-1.safetensors"}}'}, "lacks model-1"),
        ({"model.safetensors.index.json": b'{"weight_map": {"a": "../../x.safetensors"}}'}, "no list of"),
        ({"model.safetensors": b"too short"}, "model.safetensors"),
    ],
)
def test_repositories_that_cannot_be_trained_are_refused(hub, files, part):
    hub.repositories[NAME] = Repository({"config.json": b"{}"} | files)
    assert part in refusal()
    with pytest.raises(HoneError):
        find_model(NAME)


def test_a_server_cannot_choose_where_files_land(hub):
    hub.repositories[NAME].files |= {"../../escape.json": b"x", "a\\b.json": b"x", ".hidden.json": b"x"}
    fetch()
    assert not hub.asked("escape")
    assert not hub.asked("hidden")


def test_what_is_not_whole_is_not_found(hub, tmp_path):
    fetch()
    assert [model.name for model in models_on_disk() if model.commit] == [NAME]


def start(hub: StandIn, tmp_path: Path) -> subprocess.Popen[bytes]:
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environment |= {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "core.download", NAME]
    return subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )


def test_killed_at_any_moment_it_goes_on_where_it_was(hub, tmp_path):
    hub.repositories[NAME] = small_model(kilobytes=4000)
    hub.seconds_per_piece = 0.02
    sent = 0
    for kill_at in (700_000, 1_900_000):
        process = start(hub, tmp_path)
        end = time.monotonic() + 30
        while hub.bytes_sent < kill_at and time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        assert process.poll() is None
        process.kill()
        process.communicate()
        sent = hub.bytes_sent
        with pytest.raises(HoneError):
            find_model(NAME)
    assert partials()
    hub.seconds_per_piece = 0
    process = start(hub, tmp_path)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    events = [decode(line) for line in output.splitlines()]
    assert isinstance(events[-1], Finished)
    first = next(event for event in events if isinstance(event, Progress))
    assert first.total > 4_000_000
    assert find_model(NAME).commit == COMMIT
    # What was received before the kills was not asked for again, but for what was under way.
    assert hub.bytes_sent - sent < 4_200_000 - 1_500_000
    assert not partials()


def test_the_command_says_failures_as_one_event(hub, tmp_path):
    hub.api_answer = (404, {"X-Error-Code": "RepoNotFound"})
    process = start(hub, tmp_path)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (event,) = [decode(line) for line in output.splitlines()]
    assert isinstance(event, Failed)
    assert event.path == "model.source"
    assert b"Traceback" not in errors


def test_two_downloads_of_one_model_do_not_meet(hub, tmp_path):
    hub.repositories[NAME] = small_model(kilobytes=2000)
    hub.seconds_per_piece = 0.05
    process = start(hub, tmp_path)
    while not hub.asked("storage") and process.poll() is None:
        time.sleep(0.01)
    assert "already being downloaded" in refusal()
    process.kill()
    process.communicate()
