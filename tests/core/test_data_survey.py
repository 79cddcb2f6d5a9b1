"""Figures of a dataset: kept by content, and made anew for any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from core import places
from core.config import RunConfig
from core.data import shelf, survey
from core.data.apart import survey_apart
from core.data.edits import exclude
from core.data.rows import rows_of
from core.data.statistics import Statistics, statistics
from core.errors import HoneError


def written(path: Path, count: int) -> str:
    rows: list[dict[str, Any]] = [
        {"prompt": f"Кто там? Who is there? {path.stem} {n}", "completion": "I.", "kind": n % 3}
        for n in range(count)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{broken")
    return str(path)


def config_of(tmp_path: Path, **more: Any) -> RunConfig:
    a, b = (written(tmp_path / name, 40) for name in ("a.jsonl", "b.jsonl"))
    return RunConfig().with_values(
        {
            "data.source": a,
            "data.more": (f"0.5*{b}", f"3*{b}"),
            **{f"data.{name}": to for name, to in more.items()},
        }
    )


def heard(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_rows_count_once_however_often_a_weight_shows_them(tmp_path: Path) -> None:
    config = config_of(tmp_path, stratify_by="kind")
    found = survey.survey(config, heard)
    data, seed = config.data, config.runtime.seed
    assert found == statistics(data.source, data.more, seed=seed)
    assert found.num_rows < len(rows_of(data, seed))


def test_it_is_kept_by_content_and_made_anew_for_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(tmp_path)
    first, read = survey.survey(config, heard), list[str]()
    look = survey.look_through

    def counted(*given: Any) -> Statistics:
        read.append("read")
        return look(*given)

    monkeypatch.setattr(survey, "look_through", counted)
    Path(config.data.source).touch()
    assert survey.survey(config, heard) == first and not read
    for changed in (
        config.with_value("runtime.seed", 7),
        config.with_value("data.group_by", "kind"),
        config.with_value("data.more", ()),
    ):
        survey.survey(changed, heard)
        assert read == ["read"]
        read.clear()
    exclude(config.data.source, [1])
    assert survey.survey(config, heard).num_used == first.num_used - 1 and read


def test_what_is_kept_and_torn_is_made_anew(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    first = survey.survey(config, heard)
    (kept,) = (places.cache_folder() / "data").glob(f"*/{shelf.MARK}")
    kept.write_bytes(kept.read_bytes()[:-40])
    assert survey.survey(config, heard) == first and survey.survey(config, heard) == first


def test_a_process_of_its_own_finds_the_same_and_hands_on_mistakes(tmp_path: Path) -> None:
    config, told = config_of(tmp_path), list[int]()
    found = survey_apart(config, lambda done, total: told.append(total))
    assert told and found == survey.survey(config, heard)
    Path(config.data.source).unlink()
    with pytest.raises(HoneError, match="does not exist"):
        survey_apart(config, heard)
