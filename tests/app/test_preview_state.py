"""Rows as the model sees them, in the window: the real preview worker, the layout of tokens, and the tab."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from app.pages.new_run.lengths_tab import LengthsTab
from app.pages.new_run.sight_tab import SightTab, Swatch, in_words
from app.state.chosen_data import ChosenData
from app.state.chosen_model import ChosenModel
from app.state.data_statistics import DataStatistics
from app.state.data_survey import DataSurvey
from app.state.draft import Draft
from app.state.preview import MOST_ASKED, Preview
from app.state.row_lengths import RowLengths
from app.widgets.token_layout import Part, arrange, units
from app.widgets.token_view import TokenView
from core.config import RunConfig
from core.preview import Seen, Sequence

WAIT_MS = 60_000
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{{ message['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


@pytest.fixture
def model(make_llama) -> Path:
    """A tiny Llama whose tokenizer knows bytes and a ChatML template."""
    folder = make_llama("tiny", hidden=128, layers=1, vocab=258)
    letters = {letter: place for place, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(letters, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"Say {number}.", "completion": f"It is {number}."} for number in range(20)]
    path.write_text("\n".join(json.dumps(row) for row in [*rows, {"prompt": "Say.", "completion": ""}]))
    return path


@pytest.fixture
def draft(model, data) -> Draft:
    return Draft(RunConfig().with_values({"model.source": str(model), "data.source": str(data)}))


@pytest.fixture
def chosen(draft, background):
    return ChosenModel(draft, background), ChosenData(draft, background)


@pytest.fixture
def preview(draft, chosen, qtbot):
    preview = Preview(draft, *chosen)
    yield preview
    preview.close()


def trained(preview: Preview, row: int) -> str:
    return "".join(text for text, is_trained, _ in preview.row(row).sequences[0].tokens if is_trained)


def test_the_worker_shows_rows_follows_settings_and_counts(preview, draft, qtbot):
    assert preview.state == "waiting"
    preview.want(3)
    qtbot.waitUntil(lambda: preview.row(3) is not None, timeout=WAIT_MS)
    assert preview.state == "ready"
    assert trained(preview, 3) == "It is 3.<|im_end|>"
    qtbot.waitUntil(lambda: all(preview.row(near) for near in (1, 2, 4, 5, 9)), timeout=WAIT_MS)
    assert preview.row(12) is None, "rows far away are not asked for"
    qtbot.waitUntil(lambda: preview.measurement is not None, timeout=WAIT_MS)
    assert (preview.measurement.num_rows, preview.measurement.num_refused) == (21, 1)

    draft.set("data.max_length", 30)
    qtbot.waitUntil(
        lambda: (seen := preview.row(3)) is not None and seen.sequences[0].num_cut > 0, timeout=WAIT_MS
    )
    draft.set("data.train_on", "all")
    qtbot.waitUntil(lambda: preview.row(3) is not None and "Say 3." in trained(preview, 3), timeout=WAIT_MS)

    preview._process.kill()  # as the system does when memory is short
    qtbot.waitUntil(lambda: preview.state == "failed", timeout=WAIT_MS)
    assert "ended unexpectedly" in preview.problem
    preview.retry()
    qtbot.waitUntil(lambda: preview.row(3) is not None, timeout=WAIT_MS)

    draft.set("data.source", "sample:poems-preferences")
    qtbot.waitUntil(
        lambda: (
            (seen := preview.row(3)) is not None and [one.name for one in seen.sequences] == ["chosen", "rejected"]
        ),
        timeout=WAIT_MS,
    )


def test_rows_that_were_passed_do_not_stand_before_the_one_in_sight(preview, draft, qtbot, tmp_path):
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": f"Say {n}", "completion": "ok"}) for n in range(3000)))
    draft.set("data.source", str(path))
    preview.want(0)
    qtbot.waitUntil(lambda: preview.row(0) is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: not preview._asked, timeout=WAIT_MS)
    for number in range(100, 2900, 7):  # four hundred jumps before any answer can come
        preview.want(number)
        assert len(preview._asked) <= MOST_ASKED
    qtbot.waitUntil(lambda: preview.row(number) is not None, timeout=WAIT_MS)
    qtbot.waitUntil(lambda: preview.row(number + 6) is not None, timeout=WAIT_MS)
    assert sum(preview.row(place) is not None for place in range(100, 2800)) <= 3 * MOST_ASKED, (
        "nobody waits for these"
    )


def test_the_swatch_is_of_the_colour_of_what_is_learnt(theme, qtbot):
    swatch = Swatch(theme)
    qtbot.addWidget(swatch)
    for is_wanted, token in ((True, "fits"), (False, "no"), (True, "fits")):
        swatch.show_learnt(is_wanted=is_wanted)
        assert swatch.grab().toImage().pixelColor(5, 4) == theme.color(f"{token}_wash")


def test_the_tab_shows_the_plain_row_until_tokens_are_there(preview, draft, chosen, theme, qtbot):
    _, data = chosen
    tab = SightTab(draft, preview, theme)
    qtbot.addWidget(tab)
    tab.resize(700, 174)
    tab.show()
    qtbot.waitUntil(lambda: data.rows is not None)
    tab.show_row(0, data.rows[0])
    assert tab.stack.currentWidget() is tab.row_view
    assert "tokens follow" in tab.line.text()
    qtbot.waitUntil(lambda: tab.stack.currentWidget() is tab.tokens, timeout=WAIT_MS)
    seen = preview.row(0).sequences[0]
    assert tab.line.text() == f"{seen.num_trained} of {seen.num_tokens} tokens are trained · answers only"
    tab.show_row(20, data.rows[20])
    qtbot.waitUntil(lambda: "left out" in tab.line.text(), timeout=WAIT_MS)
    assert tab.stack.currentWidget() is tab.row_view


def test_words_for_rows_that_are_cut_split_or_left_out():
    cut = Sequence(tokens=(("a", True, False),), num_tokens=90, num_trained=10, num_cut=30, num_trained_cut=30)
    assert in_words(Seen(row=0, line=1, sequences=(cut,)), "answers only").startswith(
        "10 of 60 tokens are trained · answers only · 30 tokens are cut"
    )
    gone = Seen(row=0, line=1, sequences=(cut,), refused="no trained token left")
    assert in_words(gone, "answers only").startswith("Left out of training: no trained token left · 30 tokens")
    two = Seen(row=0, line=1, sequences=(cut, cut))
    assert "2 sequences, one per answer" in in_words(two, "answers only")


def test_every_token_has_its_letters_once_and_in_order():
    texts = ["<|im_start|>", "user", "\n", "🦊 é", "\r\n\n", "x\ny", "", "<|im_end|>"]
    tokens = [(text, place > 3, text.startswith("<|")) for place, text in enumerate(texts)]
    paragraphs = arrange([Part(tokens, 7)])
    places = [(span.number, span.kind) for paragraph in paragraphs for span in paragraph.spans]
    assert [number for number, _ in places] == [0, 1, 2, 3, 4, 5, 5, 5, -1, 7]
    assert [kind for _, kind in places][-2:] == ["cut", "lost"]
    for paragraph in paragraphs:
        assert paragraph.size == units(paragraph.text)
        assert all(a.end <= b.start for a, b in zip(paragraph.spans, paragraph.spans[1:], strict=False))
    assert len(paragraphs) == 3, "a header keeps its line; a run of breaks breaks once"


def test_sequences_stand_apart_with_their_names_and_tokens_are_numbered_through():
    tokens = [("a", False, False), ("b", True, False)]
    pair = [Part(tokens, name="chosen"), Part(tokens, limit=1, name="rejected", is_unwanted=True)]
    found = [[(span.number, span.kind) for span in one.spans] for one in arrange(pair)]
    assert found == [
        [(-1, "name")], [(0, "plain"), (1, "trained")], [(-1, "name")], [(2, "plain"), (-1, "cut"), (3, "lost")],
    ]  # fmt: skip
    assert arrange([Part(tokens, is_unwanted=True)])[0].spans[-1].kind == "unwanted"
    assert [one.text.strip("\u200b") for one in arrange([Part(tokens), Part(tokens)])] == [
        "ab", "\u00a0next\u00a0sequence\u00a0", "ab",
    ]  # fmt: skip


def test_markup_and_orders_of_the_data_stay_words(theme, qtbot):
    view = TokenView(theme)
    qtbot.addWidget(view)
    view.resize(400, 120)
    view.show()
    view.show_parts([Part([("<b>", True, False), ("\x1b[2J\x00", False, False), ("\u202eevil", False, False)])])
    shown = "".join(paragraph.text for paragraph in view.paragraphs)
    assert shown == "<b>␛[2J␀\ufffdevil"
    qtbot.keyClick(view, Qt.Key.Key_PageDown)
    assert not view.grab().isNull()


def test_thousands_of_tokens_scroll(theme, qtbot):
    view = TokenView(theme)
    qtbot.addWidget(view)
    view.resize(400, 120)
    view.show()
    view.show_parts([Part([(f" word{number}", number % 2 > 0, False) for number in range(8000)])])
    assert view.verticalScrollBar().maximum() > 10_000
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    numbers = [span.number for block, line in view._lines_in_sight() for span, _ in view._pieces(block, line)]
    assert numbers[-1] == 7999
    assert len(numbers) < 80


def test_the_limit_is_dragged_on_the_lengths_and_counts_are_kept(preview, draft, chosen, background, theme, qtbot):
    model, data = chosen
    lengths = RowLengths(model, data, preview, background)
    statistics = DataStatistics(draft, DataSurvey(draft, data, background), lengths, background)
    tab = LengthsTab(draft, preview, statistics, theme)
    qtbot.addWidget(tab)
    tab.resize(700, 174)
    tab.show()
    qtbot.waitUntil(lambda: preview.measurement is not None, timeout=WAIT_MS)
    assert tab.cost.text() == "No row is longer; nothing is cut."
    counted, plot = preview.measurement, tab.plot
    draft.set("data.max_length", 44)
    qtbot.mousePress(plot, Qt.MouseButton.LeftButton, pos=QPoint(round(plot._x(44)), 40))
    qtbot.mouseMove(plot, QPoint(round(plot._x(30)), 40))
    assert 28 <= draft.config.data.max_length <= 32
    qtbot.mouseRelease(plot, Qt.MouseButton.LeftButton)
    assert tab.cost.text().startswith("20 of 20 rows are cut")
    values = tab.made_of.values
    assert values["Lost"].text().endswith(f"{tab._lengths.num_lost(draft.config.data.max_length):,} tokens")
    qtbot.waitUntil(lambda: statistics.statistics is not None, timeout=WAIT_MS)
    assert (values["Answers a row"].text(), values["Scripts"].text()) == ("1 (100%)", "Latin (100%)")
    qtbot.waitUntil(lambda: "if packed" in values["Padding"].text(), timeout=WAIT_MS)
    share = statistics.padding.without
    draft.set("optim.batch_size", 1)
    qtbot.waitUntil(lambda: statistics.padding.without < share or share == 0, timeout=WAIT_MS)
    draft.undo()
    qtbot.keyClick(plot, Qt.Key.Key_Right)
    assert draft.config.data.max_length == plot.limit
    draft.undo()
    qtbot.wait(200)
    qtbot.waitUntil(lambda: preview.state == "ready", timeout=WAIT_MS)
    assert preview.measurement is counted, "whole rows are as long as before"
    draft.set("data.train_on", "all")
    qtbot.waitUntil(lambda: preview.measurement not in (None, counted), timeout=WAIT_MS)
    assert sum(preview.measurement.trained_at) > sum(counted.trained_at)


def test_a_model_without_a_tokenizer_starts_no_worker(make_llama, data, background, qtbot):
    folder = make_llama("bare", hidden=128, layers=1, vocab=258)
    draft = Draft(RunConfig().with_values({"model.source": str(folder), "data.source": str(data)}))
    preview = Preview(draft, ChosenModel(draft, background), ChosenData(draft, background))
    preview.want(0)
    qtbot.waitUntil(lambda: preview.state == "failed", timeout=WAIT_MS)
    assert "no tokenizer" in preview.problem
    assert preview._process.processId() == 0
