"""Bad data, models and folders on the real command: exit 1 and one sentence, before any run is made."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from chat_models import make_base

from core.cli import main, preflight

GOOD = {"prompt": "Who?", "completion": "A fox."}
Refused = Callable[..., str]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def base(made: Path, tmp_path: Path) -> Path:
    """A model of the test's own, to break."""
    return shutil.copytree(made, tmp_path / "tiny")


@pytest.fixture
def refused(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refused:
    """Start a training that must be refused; returns the sentence. No run may have been made."""

    def start(**values: object) -> str:
        runs = Path(str(values.pop("runs", tmp_path / "runs")))
        settings = {"model.source": base, "data.source": "sample:poems", **values}
        changes = [part for path, value in settings.items() for part in ("--set", f"{path}={value}")]
        assert main(["train", *changes, "--runs", str(runs)]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("hone: ")
        assert said.err.count("\n") == 1, said.err
        assert not list(runs.glob("*/config.yaml"))
        return said.err

    return start


def written(tmp_path: Path, name: str, *lines: object) -> Path:
    file = tmp_path / name
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return file


def test_missing_data(refused: Refused, tmp_path: Path) -> None:
    assert f"{tmp_path}/nowhere.jsonl does not exist; give" in refused(
        **{"data.source": tmp_path / "nowhere.jsonl"}
    )


def test_empty_data(refused: Refused, tmp_path: Path) -> None:
    file = written(tmp_path, "rows.jsonl")
    assert f"{file} is empty" in refused(**{"data.source": file})


def test_wrong_columns(refused: Refused, tmp_path: Path) -> None:
    file = written(tmp_path, "rows.jsonl", {"question": "Who?", "remark": "A fox."})
    told = refused(**{"data.source": file})
    assert str(file) in told
    assert "question" in told
    assert "completion" in told


def test_invalid_json_names_its_line(refused: Refused, tmp_path: Path) -> None:
    file = written(tmp_path, "rows.jsonl", "", '{"prompt": "Who?", "completion": ', '{"prompt": "Why?", ')
    told = refused(**{"data.source": file})
    assert str(file) in told
    assert "line 2" in told


def test_no_row_with_an_answer(refused: Refused, tmp_path: Path) -> None:
    file = written(tmp_path, "rows.jsonl", *[{"messages": [{"role": "user", "content": "Who?"}]}] * 2)
    told = refused(**{"data.source": file})
    assert str(file) in told
    assert "line 1" in told
    assert "no answer" in told


def test_preferences_are_no_data_for_answers(refused: Refused) -> None:
    assert "preference pairs" in refused(**{"data.source": "sample:poems-preferences"})


def test_folder_that_is_no_model(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    told = refused(**{"model.source": tmp_path / "empty"})
    assert f"{tmp_path / 'empty'} is no model: it has no config.json" in told


def test_pickle_weights(refused: Refused, base: Path) -> None:
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    told = refused()
    assert "only pickle weights (pytorch_model.bin)" in told
    assert "safetensors" in told


def test_torn_weights(refused: Refused, base: Path) -> None:
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors" in refused()


def test_model_that_is_not_here(refused: Refused) -> None:
    assert "press Download or run `hone download some/model`" in refused(**{"model.source": "some/model"})


def test_device_that_is_not_here(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "mps" if sys.platform != "darwin" else "cuda"
    assert "set runtime.device to auto" in refused(**{"runtime.device": missing})


def test_full_disk(refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "disk_free", lambda folder: 1000)
    told = refused()
    assert "are free in" in told
    assert "free some space or give another folder with --runs" in told


def test_runs_folder_below_a_file(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert f"{tmp_path / 'file'} is a file; give a folder" in refused(runs=tmp_path / "file" / "runs")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody, root included, can write")
def test_runs_folder_that_cannot_be_written(refused: Refused) -> None:
    told = refused(runs="/proc/hone")
    assert "/proc" in told
    assert "folder" in told


def test_budget_that_is_no_size(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--set", f"model.source={base}", "--budget", "much"]) == 1
    assert capsys.readouterr().err == "hone: --budget much is no amount of memory; write it as 24GiB or 500MiB.\n"


@pytest.mark.parametrize("verb", ["resume", "stop"])
def test_run_that_is_not_there(verb: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([verb, "ghost", "--runs", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"hone: There is no run ghost in {tmp_path}; hone runs lists them.\n"


def test_chat_with_a_run_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["chat", "ghost", "--prompt", "Hello", "--runs", str(tmp_path)]) == 1
    assert "There is no run ghost" in capsys.readouterr().err


def test_row_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "sample:poems", "--row", "0"]) == 1
    assert "sample:poems has 900 rows; --row 0 is none of them" in capsys.readouterr().err


def test_row_that_cannot_be_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "show", "sample:broken", "--row", "3"]) == 1
    assert "sample:broken, line 3: invalid JSON" in capsys.readouterr().err
