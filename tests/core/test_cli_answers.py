"""What the verbs that only look answer: estimate, data, runs. JSON is one document, alone on stdout."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from chat_models import make_base

from core import display
from core.cli import estimates, main, output
from core.cli.training import Follower
from core.config import RunConfig
from core.events import Evaluated, EventWriter, Failed, Finished, Loaded, Progress, Started, Step, Warned
from core.memory.estimate import PART_NAMES
from core.runs import RunStore


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny")


def document(capsys: pytest.CaptureFixture[str], *typed: str) -> Any:
    assert main([*typed, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_estimate_adds_up(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "estimate", "--set", f"model.source={base}")
    assert tuple(found["parts"]) == PART_NAMES
    assert sum(found["parts"].values()) == found["peak_bytes"] > 0
    assert found["verdict"] == "fits"
    assert found["moments"][found["moment"]] == found["peak_bytes"]


def test_estimate_against_a_budget(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = ("--set", "data.max_length=512", "--set", "optim.batch_size=4096")
    found = document(capsys, "estimate", "--set", f"model.source={base}", *long, "--budget", "600MiB")
    assert found["free_bytes"] == 600 * 2**20
    assert found["verdict"] == "does not fit"
    best = found["suggestions"][0]
    config = RunConfig().with_value("optim.batch_size", 4096).with_values(best["changes"])
    changes = [part for path in best["changes"] for part in ("--set", f"{path}={config.value(path)}")]
    better = document(capsys, "estimate", "--set", f"model.source={base}", *long, *changes, "--budget", "600MiB")
    assert found["peak_bytes"] - better["peak_bytes"] == best["saved_bytes"] > 0


def test_estimate_in_words(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "--set", f"model.source={base}", "--budget", "24GiB"]) == 0
    told = capsys.readouterr().out
    assert "at the peak, which is" in told
    assert "fits: 24 GiB are free on" in told


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [("24GiB", 24 * 2**30), ("24 gb", 24 * 10**9), ("1.5G", 15 * 10**8), ("512MiB", 2**29), ("4096", 4096)],
)
def test_sizes_are_read_with_their_units(text: str, num_bytes: int) -> None:
    assert estimates.bytes_in(text) == num_bytes


def test_data_check_counts_and_names_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "data", "check", "sample:broken")
    assert found["num_used"] + found["num_skipped"] == found["num_rows"]
    assert len(found["problems"]) == found["num_skipped"] > 0
    assert main(["data", "check", "sample:broken"]) == 0
    told = capsys.readouterr().out
    for problem in found["problems"]:
        assert f"line {problem['line']} " in told
        assert problem["reason"] in told


def test_data_show_prints_the_row(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, "data", "show", "sample:poems", "--row", "2")
    assert [message["role"] for message in found["messages"]] == ["user", "assistant"]
    assert main(["data", "show", "sample:poems", "--row", "2"]) == 0
    told = capsys.readouterr().out
    assert all(message["content"] in told for message in found["messages"])


def make_runs(store: RunStore) -> None:
    """One run that is done, one whose worker died after two steps, one that failed, one that says nothing."""
    endings = {
        "good": [Evaluated(step=2, loss=1.25), Finished(reason="done", step=2, peak_bytes=3 * 2**30, seconds=9)],
        "killed": [],
        "failed": [Failed(message="Memory ran out.")],
    }
    for name, ending in endings.items():
        writer = EventWriter(store.create(RunConfig(), name).events_file)
        writer.write(Started(pid=1, device="cpu", total_steps=2, predicted_peak_bytes=2**30))
        for step in (1, 2):
            writer.write(Step(step=step, epoch=1, loss=3.0 / step, learning_rate=1e-3, grad_norm=1, num_tokens=9,
                              tokens_per_second=9, memory_bytes=1, peak_bytes=2**30))  # fmt: skip
        for event in ending:
            writer.write(event)
        writer.close()
    (store.create(RunConfig(), "torn").folder / "config.yaml").write_text("optim: {")


def test_runs_are_listed_in_every_state(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_runs(RunStore(tmp_path))
    runs = {run["name"]: run for run in document(capsys, "runs", "--runs", str(tmp_path))["runs"]}
    assert {name: run["state"] for name, run in runs.items()} == {
        "good": "done", "killed": "interrupted", "failed": "failed", "torn": "unreadable",
    }  # fmt: skip
    good = runs["good"]
    assert (good["loss"], good["eval_loss"], good["step"], good["total_steps"]) == (1.5, 1.25, 2, 2)
    assert (good["predicted_peak_bytes"], good["measured_peak_bytes"]) == (2**30, 3 * 2**30)
    assert runs["failed"]["failure"] == "Memory ran out."
    assert main(["runs", "--runs", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert any("interrupted" in line and "2/2" in line and "1.500" in line for line in lines)


def test_loss_that_is_no_number_is_null_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = RunStore(tmp_path)
    writer = EventWriter(store.create(RunConfig(), "wild").events_file)
    writer.write(Evaluated(step=1, loss=float("nan")))
    writer.close()
    assert document(capsys, "runs", "--runs", str(tmp_path))["runs"][0]["eval_loss"] is None


def test_followed_run_is_told_in_plain_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "SECONDS_BETWEEN_LINES", 0)
    run = RunStore(tmp_path).create(RunConfig(), "told")
    writer = EventWriter(run.events_file)
    writer.write(Warned(message="This was said to another reader."))
    follower = Follower(run)
    writer.write(Progress(label="Reading rows", done=1, total=4))
    writer.write(Started(pid=1, device="cpu", total_steps=8, num_rows=1500, num_eval_rows=9, num_skipped_rows=2))
    writer.write(Loaded(num_parameters=4_000_000, num_trainable=300_000, seconds=1))
    writer.write(Evaluated(step=0, loss=4.5))
    for step in (1, 2):
        writer.write(Step(step=step, epoch=1, loss=3.0 / step, learning_rate=1e-3, grad_norm=1, num_tokens=9,
                          tokens_per_second=1234.4, memory_bytes=2**29, peak_bytes=2**30, time=step))  # fmt: skip
    writer.write(Warned(message="A row was cut."))
    writer.close()
    with subprocess.Popen([sys.executable, "-c", ""]) as worker:
        follower.follow(worker)
    assert capsys.readouterr().err.splitlines() == [
        "Reading rows 25%",
        "Training on cpu: 1,500 rows, 2 skipped, 9 held out, 8 steps",
        "300,000 of 4.00 M parameters learn",
        "Step 2/8 · loss 1.500 · held-out 4.500 · 1,234 tokens/s · 512 MiB · 6 s left",
        "Note: A row was cut.",
    ]


def test_no_runs_yet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert document(capsys, "runs", "--runs", str(tmp_path / "none"))["runs"] == []
    assert main(["runs", "--runs", str(tmp_path / "none")]) == 0
    assert "hone demo" in capsys.readouterr().out


def test_window_without_a_display_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "is_present", lambda: False)
    assert main([]) == 1
    assert "no display" in capsys.readouterr().err
    monkeypatch.setitem(display.DRAWING, "libnowhere.so.9", "libnowhere9")
    if sys.platform == "linux":
        assert main([]) == 1
        assert "sudo apt install libnowhere9." in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems bring their libraries along")
def test_missing_libraries_are_listed_by_the_python_that_runs_before_set_up() -> None:
    """`.ci/run` asks this with a bare Python: isolated, so that nothing of this environment helps."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-S", "-m", "core.display"], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == display.missing_packages()
