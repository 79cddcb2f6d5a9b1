"""Finding a base model, and the sentence for each way in which that can fail."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from core import places
from core.errors import HoneError
from core.models.source import find_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_model(folder: Path, shards: int = 1) -> Path:
    """A folder with a config and real safetensors files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    tensors = {f"layer.{i}": np.full((4, 4), i, np.float32) for i in range(shards)}
    if shards == 1:
        save_file(tensors, folder / "model.safetensors")
        return folder
    names = {name: f"model-{i + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(tensors)}
    for name, file in names.items():
        save_file({name: tensors[name]}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return folder


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    return cache


def make_cached(cache: Path, name: str = "maker/small", shards: int = 1) -> Path:
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    return make_model(repository / "snapshots" / COMMIT, shards)


def sentence(source: str, revision: str = "") -> str:
    """The message of the error that `find_model` must raise, which is one sentence at the right field."""
    with pytest.raises(HoneError) as caught:
        find_model(source, revision)
    assert caught.value.path == "model.source"
    assert "\n" not in caught.value.message
    assert caught.value.message.endswith(".")
    return caught.value.message


def test_a_folder_is_found_by_absolute_relative_and_home_path(tmp_path, monkeypatch):
    folder = make_model(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for source in (str(folder), "mine", "./mine", "~/mine", f" {folder} "):
        found = find_model(source)
        assert (found.path, found.name, found.commit) == (folder.resolve(), "mine", "")


def test_a_sharded_folder_is_found(tmp_path):
    assert find_model(str(make_model(tmp_path / "big", shards=3))).name == "big"


def test_a_bundled_model_is_found_and_an_unknown_one_is_told_the_known(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "RESOURCES", tmp_path)
    make_model(tmp_path / "starter" / "teller")
    assert find_model("starter:teller").path == tmp_path / "starter" / "teller"
    assert "starter:teller" in sentence("starter:nobody")
    assert "not a bundled model" in sentence("starter:../starter/teller")


def test_a_cached_hub_model_is_found_with_its_commit(hub_cache):
    snapshot = make_cached(hub_cache)
    found = find_model("maker/small")
    assert (found.path, found.name, found.source, found.commit) == (snapshot, "maker/small", "maker/small", COMMIT)
    assert find_model("maker/small", COMMIT) == found
    assert find_model("maker/small", "main") == found


def test_a_hub_name_that_is_not_cached_says_how_to_download_it(hub_cache):
    assert "`hone download maker/other`" in sentence("maker/other")
    make_cached(hub_cache)
    assert "`hone download maker/small --revision v2`" in sentence("maker/small", "v2")


def test_a_revision_that_is_a_path_is_refused_at_its_own_field(hub_cache):
    make_cached(hub_cache)
    with pytest.raises(HoneError) as caught:
        find_model("maker/small", "../../../secrets")
    assert caught.value.path == "model.revision"


def test_missing_things_are_named(tmp_path):
    assert "does not exist" in sentence(str(tmp_path / "nowhere"))
    assert "does not exist" in sentence("C:\\models\\mine")
    assert "No model is chosen" in sentence("  ")
    assert "is a file" in sentence(str(make_model(tmp_path / "m") / "config.json"))
    assert "neither a folder nor" in sentence("https://example.org/model")
    (tmp_path / "empty").mkdir()
    assert "no config.json" in sentence(str(tmp_path / "empty"))


def test_an_adapter_is_told_from_a_model(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "is an adapter" in sentence(str(tmp_path))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt"])
def test_pickles_are_refused_with_the_way_to_convert(tmp_path, name):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / name).write_bytes(b"\x80\x04.")
    message = sentence(str(tmp_path))
    assert name in message
    assert "save_pretrained" in message


def test_gguf_and_weightless_folders_are_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert "no weights" in sentence(str(tmp_path))
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert "GGUF" in sentence(str(tmp_path))


def test_stray_shards_without_an_index_are_refused(tmp_path):
    folder = make_model(tmp_path / "m", shards=2)
    (folder / "model.safetensors.index.json").unlink()
    assert "model.safetensors.index.json" in sentence(str(folder))


def test_a_missing_shard_is_named(tmp_path):
    folder = make_model(tmp_path / "m", shards=3)
    (folder / "model-00002-of-00003.safetensors").unlink()
    assert "model-00002-of-00003.safetensors" in sentence(str(folder))


@pytest.mark.parametrize("value", ["../../secrets.safetensors", "/etc/passwd", "", 7, None, {}, "a\\b.bin"])
def test_an_index_can_name_only_files_of_its_own_folder(tmp_path, value):
    folder = make_model(tmp_path / "m", shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": value}}))
    sentence(str(folder))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', "[" * 100_000])
def test_a_damaged_index_is_refused(tmp_path, text):
    folder = make_model(tmp_path / "m", shards=2)
    (folder / "model.safetensors.index.json").write_text(text)
    sentence(str(folder))


@pytest.mark.parametrize("keep", [0, 5, 8, 40, -1])
def test_truncated_weights_are_named(tmp_path, keep):
    folder = make_model(tmp_path / "m")
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:keep])
    assert "model.safetensors" in sentence(str(folder))


def test_a_header_that_lies_about_its_length_is_refused_without_reading_it(tmp_path):
    folder = make_model(tmp_path / "m")
    (folder / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    assert "model.safetensors" in sentence(str(folder))


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_dangling_link_in_the_cache_counts_as_missing(hub_cache):
    snapshot = make_cached(hub_cache)
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to("../../blobs/gone")
    assert "incomplete" in sentence("maker/small")
