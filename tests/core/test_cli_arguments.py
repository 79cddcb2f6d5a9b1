"""What can be typed, and what each kind of mistake gives: exit codes, one sentence, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.cli import main
from core.cli.configs import anchored
from core.config import RunConfig

VERBS = ("demo", "train", "resume", "stop", "runs", "estimate", "data", "chat", "config", "doctor", "download")
HEAVY = ("torch", "transformers", "peft", "bitsandbytes", "datasets", "accelerate", "PySide6", "pydantic", "numpy")


def test_help_names_every_verb_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from core.cli import main\n"
        "try: main(['--help'])\n"
        f"finally: print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "[]\n")
    for verb in VERBS:
        assert f"\n    {verb} " in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert f"usage: hone {verb}" in capsys.readouterr().out


def test_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "hone 0.1.0\n"


@pytest.mark.parametrize(
    "typed",
    ["fly", "train --fast", "resume", "data", "data check", "chat a-run", "data show rows.jsonl --row two"],
)
def test_mistyped_commands_end_with_2(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(typed.split())
    assert ended.value.code == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("usage: hone")


def test_config_prints_yaml_that_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    assert RunConfig.from_yaml(capsys.readouterr().out) == RunConfig()


def test_schema_knows_every_section(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert {"model", "data", "method", "objective", "optim", "memory", "evaluation", "runtime"} <= set(
        schema["properties"]
    )


def shown_config(capsys: pytest.CaptureFixture[str], *typed: str) -> RunConfig:
    assert main(["config", *typed]) == 0
    return RunConfig.from_yaml(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("text", "path", "value"),
    [
        ("optim.learning_rate=1e-4", "optim.learning_rate", 1e-4),
        ("optim.batch_size=8", "optim.batch_size", 8),
        ("memory.upcast=true", "memory.upcast", True),
        ("model.quantization=none", "model.quantization", "none"),
        ("model.revision=1234", "model.revision", "1234"),
        ("model.revision=on", "model.revision", "on"),
        ("method.targets=q_proj,v_proj", "method.targets", ("q_proj", "v_proj")),
        ("method.targets=[q_proj, v_proj]", "method.targets", ("q_proj", "v_proj")),
        ("method.targets=q_proj", "method.targets", ("q_proj",)),
        ("data.source=a=b.jsonl", "data.source", "a=b.jsonl"),
    ],
)
def test_set_reads_a_value_as_its_field_needs_it(
    capsys: pytest.CaptureFixture[str], text: str, path: str, value: object
) -> None:
    assert shown_config(capsys, "--set", text).value(path) == value


def test_set_takes_kinds_first_and_all_together(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("model: {quantization: nf4}\n")
    config = shown_config(capsys, str(file), "--set", "method.kind=full", "--set", "model.quantization=none")
    assert (config.method.kind, config.model.quantization) == ("full", "none")
    config = shown_config(capsys, "--set", "method.rank=4", "--set", "method.kind=lora")
    assert config.value("method.rank") == 4


def test_paths_are_found_beside_the_config_and_then_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "rows.jsonl").touch()
    (tmp_path / "here.jsonl").touch()
    file = tmp_path / "there" / "run.yaml"
    monkeypatch.chdir(tmp_path)
    file.write_text("data: {source: rows.jsonl}\n")
    assert shown_config(capsys, str(file)).data.source == str(tmp_path / "there" / "rows.jsonl")
    assert shown_config(capsys, "--set", "data.source=here.jsonl").data.source == str(tmp_path / "here.jsonl")
    file.write_text("data: {source: sample:poems}\n")
    assert shown_config(capsys, str(file)).data.source == "sample:poems"


@pytest.mark.parametrize(
    ("config", "typed", "told"),
    [
        (None, ["run.yaml"], "run.yaml does not exist"),
        (None, ["."], "is a folder; give the path of a config file"),
        ("optim: {learning_rte: 1}", ["run.yaml"], "run.yaml: optim.learning_rte: Unknown setting. Did you mean"),
        ("optim: {learning_rate: 7}", ["run.yaml"], "run.yaml: optim.learning_rate: 7 is out of range; it must"),
        ("a: [", ["run.yaml"], "run.yaml: The config is not valid YAML on line"),
        ("- 1", ["run.yaml"], "must be a mapping"),
        (None, ["--set", "optim.learning_rate"], "write it as PATH=VALUE"),
        (None, ["--set", "optim.batchsize=3"], "optim.batchsize: Unknown setting. Did you mean batch_size?"),
        (None, ["--set", "optimm.batch_size=3"], "Did you mean optim?"),
        (None, ["--set", "optim.batch_size=0"], "optim.batch_size: 0 is out of range; it must be at least 1."),
        (None, ["--set", "optim.batch_size=many"], "optim.batch_size: many does not fit"),
        (None, ["--set", "optim.batch_size={"], "optim.batch_size: { is no value"),
        (None, ["--set", "method.kind=magic"], "magic is not one of"),
        (None, ["--set", "method.kind=full", "--set", "model.quantization=nf4"], "needs unquantised weights"),
    ],
)  # fmt: skip
def test_a_wrong_config_is_told_in_one_sentence(
    config: str | None, typed: list[str], told: str,
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    if config is not None:
        (tmp_path / "run.yaml").write_text(config)
    for verb in ("train", "estimate", "config"):
        assert main([verb, *typed]) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err.startswith("hone: ")
        assert told in said.err
        assert said.err.count("\n") == 1
    assert not (tmp_path / "hone-home").exists()


def test_installed_command_says_a_mistake_without_a_traceback() -> None:
    command = Path(sys.executable).with_name("hone")
    done = subprocess.run([command, "train", "nowhere.yaml"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hone: nowhere.yaml does not exist; give the path of a config file.\n"


def test_a_reader_that_leaves_early_is_no_error() -> None:
    """As in `hone config | head -1`; a large schema fills the pipe long before it is read."""
    hone = subprocess.Popen(
        [sys.executable, "-m", "core.cli", "config", "--schema"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert hone.stdout is not None
    assert hone.stderr is not None
    hone.stdout.close()
    assert hone.stderr.read() == b""
    assert hone.wait() == 0
    hone.stderr.close()


def test_yaml_of_config_explains_each_setting(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    text = capsys.readouterr().out
    tree = yaml.safe_load(text)
    settings = sum(len(section) for section in tree.values() if isinstance(section, dict))
    assert text.count("  # ") >= settings


def test_a_template_of_the_library_comes_before_a_file_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "chatml").write_text("{{ 1 }}")
    (tmp_path / "own.jinja").write_text("{{ 1 }}")
    like = RunConfig()
    assert anchored(like.with_value("data.template", "chatml"), tmp_path).data.template == "chatml"
    own = anchored(like.with_value("data.template", "own.jinja"), tmp_path).data.template
    assert own == str((tmp_path / "own.jinja").resolve())


@pytest.mark.parametrize(
    ("text", "sources"),
    [
        ("a.jsonl, 0.5*b.jsonl", ("a.jsonl", "0.5*b.jsonl")),
        ('"a, b.jsonl"', ("a, b.jsonl",)),
        ("'2*a,b.jsonl'", ("2*a,b.jsonl",)),
        ('["a, b.jsonl", "0.5*c.jsonl"]', ("a, b.jsonl", "0.5*c.jsonl")),
        ("['C:\\data\\a,b.jsonl']", ("C:\\data\\a,b.jsonl",)),
    ],
)
def test_sources_whose_names_have_commas_can_be_mixed_in(
    text: str, sources: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "--set", f"data.more={text}"]) == 0
    assert RunConfig.from_yaml(capsys.readouterr().out).data.more == sources


def test_a_file_whose_name_has_a_comma_needs_no_quotes(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat, black.jsonl").write_text('{"text": "a"}')
    for text, sources in (
        ("cat, black.jsonl", (str(tmp_path / "cat, black.jsonl"),)),
        ("0.5*cat, black.jsonl", (f"0.5*{tmp_path / 'cat, black.jsonl'}",)),
        ("cat, white.jsonl", ("cat", "white.jsonl")),
        ("", ()),
    ):
        assert main(["config", "--set", f"data.more={text}"]) == 0
        assert RunConfig.from_yaml(capsys.readouterr().out).data.more == sources
