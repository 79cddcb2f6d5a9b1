"""Of data too large to keep its tokens all else is known too: the same findings, lines, lengths and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_preview import look
from tiny_models import make_model

from core.config import DataSection
from core.data.kinds import LONG, NO_SYSTEM, NOTHING_LEFT
from core.data.row import Problem
from core.events import Progress
from core.preview import Exported, Judged, Measured
from core.worker import outlines, sight
from core.worker.sight import Sight

TEMPLATE_WITHOUT_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows: list[Any] = []
    for n in range(130):
        answer = "A hat. " * (40 if n % 9 == 0 else 1)
        prompt = "Tell me about it. " * (30 if n % 31 == 0 else 1) + str(n % 100)
        rows.append({"messages": [{"role": "system", "content": f"Be brief, {n}."},
                                  {"role": "user", "content": prompt},
                                  {"role": "assistant", "content": answer}]})  # fmt: skip
    rows[5] = {"messages": [{"role": "user", "content": "no answer"}]}
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n{broken")
    return path


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "no system.jinja"
    path.write_text(TEMPLATE_WITHOUT_SYSTEM)
    return path


def answers(sight: Sight, data: DataSection, target: Path) -> list[Any]:
    """What it measures, judges and exports."""
    found: list[Any] = []
    for work in (sight.measure(False), sight.judge(data, 0), sight.export(data, 0, target)):
        found += [answer for answer in work if not isinstance(answer, Progress)]
    return found


@pytest.mark.parametrize("settings", [{}, {"on_long": "skip", "on_dropped": "skip"}, {"holdout": 0.3}])
def test_large_data_is_judged_and_listed_as_small_data_is(tmp_path, data, template, monkeypatch, settings):
    model = make_model(tmp_path / "model", "chatml")
    given = look(model, data, template=str(template), max_length=100, **settings)

    def all_answers(name: str) -> list[Any]:
        seer = Sight()
        seer.look(given)
        return [*answers(seer, given.data, tmp_path / name), seer]

    small = all_answers("small.csv")
    monkeypatch.setattr(sight, "MOST_KEPT_BYTES", 0)
    monkeypatch.setattr(outlines, "SLAB_ROWS", 16)
    large = all_answers("large.csv")
    (made,) = large[-1]._made.values()
    assert not len(made.tokens) and made.num_rows == 131
    assert large[:3] == small[:3]
    measured, judged, exported = large[:3]
    assert isinstance(measured, Measured) and isinstance(judged, Judged) and isinstance(exported, Exported)
    assert (tmp_path / "large.csv").read_text() == (tmp_path / "small.csv").read_text()
    assert exported.num_lines > 15
    if "on_dropped" not in settings:
        assert judged.findings.remark_counts[NO_SYSTEM] == 124 and judged.findings.remark_counts[LONG] > 10
        assert judged.findings.reasons[NOTHING_LEFT] == 5
        listed = [one for one in judged.findings.remarks if one.kind == NO_SYSTEM]
        assert len(listed) == 100 and listed[5].line == 8 and "leaves out" in listed[5].reason


def test_trained_places_are_counted_as_the_mask_has_them(tmp_path, data, template):
    seer = Sight()
    seer.look(look(make_model(tmp_path / "model", "chatml"), data, template=str(template)))
    (measured,) = (answer for answer in seer.measure(False) if isinstance(answer, Measured))
    (made,) = seer._made.values()
    trained, places = np.zeros(len(measured.trained_at), np.int64), np.flatnonzero(made.mask())
    starts = np.repeat(made.starts[:-1], made.lengths)[places]
    np.add.at(trained, places - starts, 1)
    assert measured.width == 1 and measured.trained_at == tuple(trained.tolist())


def test_rows_that_cannot_be_read_have_no_sequence(tmp_path, data):
    seer = Sight()
    seer.look(look(make_model(tmp_path / "model", "chatml"), data))
    rows = [row for row in seer._data if isinstance(row, Problem)]
    made = None
    work = outlines.outlining(rows, seer._encoder())
    while made is None:
        try:
            next(work)
        except StopIteration as done:
            made = done.value
    assert (made.num_rows, len(made.rows), made.reasons) == (2, 0, ("no answer", "invalid JSON"))
