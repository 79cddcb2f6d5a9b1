"""Listing the models on a machine: all that can be used, nothing that cannot, and no broken folder stops it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import constants
from safetensors.numpy import save_file

from core import places
from core.models.cache import models_on_disk
from core.models.source import find_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def make_model(folder: Path, family: str = "llama") -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"model_type": family}))
    save_file({"w": np.zeros((10, 10), np.float32)}, folder / "model.safetensors")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(places, "RESOURCES", tmp_path / "resources")
    return tmp_path / "hub"


def make_cached(cache: Path, name: str, ref: str = COMMIT, family: str = "llama") -> Path:
    repository = cache / f"models--{name.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(ref)
    return make_model(repository / "snapshots" / COMMIT, family)


def test_a_machine_without_models_has_none(cache):
    assert models_on_disk() == []
    assert models_on_disk([cache / "nowhere"]) == []


def test_bundled_cached_and_own_models_are_listed_once_with_their_sizes(cache, tmp_path):
    make_model(tmp_path / "resources" / "starter" / "teller")
    make_cached(cache, "maker/small")
    own = make_model(tmp_path / "mine" / "one")
    make_model(tmp_path / "mine" / "two", "gpt2")
    found = models_on_disk([tmp_path / "mine", own, str(own)])
    assert [model.source for model in found] == [
        "starter:teller",
        "maker/small",
        str(tmp_path / "mine" / "one"),
        str(tmp_path / "mine" / "two"),
    ]
    for model in found:
        assert model.num_bytes == (model.path / "model.safetensors").stat().st_size
        assert model.is_whole
        assert find_model(model.source).path == model.path


def test_what_is_not_whole_is_listed_with_its_flaw(cache, tmp_path):
    folder = make_cached(cache, "maker/torn")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    weightless = make_cached(cache, "maker/bare")
    (weightless / "model.safetensors").unlink()
    torn = {model.name: model for model in models_on_disk()}
    assert "model.safetensors" in torn["maker/torn"].flaw
    assert torn["maker/torn"].num_bytes > 0
    assert "no weights" in torn["maker/bare"].flaw
    assert torn["maker/bare"].num_bytes == 0


def test_broken_and_foreign_folders_are_passed_over(cache, tmp_path):
    make_cached(cache, "maker/vision", family="vit")
    make_cached(cache, "maker/lost", ref="not a commit")
    (cache / "models--maker--empty").mkdir(parents=True)
    (cache / "models--..--evil" / "refs").mkdir(parents=True)
    (cache / "datasets--maker--x").mkdir()
    (cache / "a file").write_text("x")
    broken = make_cached(cache, "maker/broken")
    (broken / "config.json").write_text("{")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").mkdir()
    assert models_on_disk([tmp_path / "mine"]) == []
    make_cached(cache, "maker/good")
    assert [model.name for model in models_on_disk()] == ["maker/good"]
