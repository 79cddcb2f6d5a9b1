"""The Compare page, driven offscreen against a real chat worker."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from chat_models import make_base, make_run
from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QApplication, QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.pages.compare.columns_grid import GAP, NARROWEST, areas
from app.pages.compare_page import ComparePage
from app.state.comparison import Comparison, Conversation
from app.theme import Theme
from app.widgets.answer_text import AnswerText
from app.widgets.chat_column import ChatColumn
from core.chat import Message
from core.columns import Column
from core.config import RunConfig
from core.events import Sampled, encode
from core.runs import Run, RunStore

WAIT_MS = 300_000


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "base", context=8000)


@pytest.fixture(scope="module")
def store(base: Path, tmp_path_factory: pytest.TempPathFactory) -> RunStore:
    store = RunStore(tmp_path_factory.mktemp("runs"))
    run = make_run(store, base, "poet")
    with run.events_file.open("ab") as file:
        for step in (20, 40):
            file.write(encode(Sampled(step=step, prompt="Tell me about a heron & <b>a hat</b>.", text="…")))
    store.create(RunConfig(), "silent")
    return store


@pytest.fixture
def run(store: RunStore) -> Run:
    return store.find("poet")


@pytest.fixture
def theme(qapp: QApplication) -> Iterator[Theme]:
    theme = Theme(qapp, "light")
    yield theme
    theme.deleteLater()


@pytest.fixture
def page(qtbot: QtBot, store: RunStore, theme: Theme) -> Iterator[ComparePage]:
    comparison = Comparison()
    page = ComparePage(comparison, store, theme)
    page.resize(1072, 760)
    qtbot.addWidget(page)
    yield page
    comparison.close()


def wait_until_ready(qtbot: QtBot, page: ComparePage) -> None:
    def is_ready() -> bool:
        assert page.comparison.state != "failed", page.comparison.problem
        return page.comparison.state == "ready"

    qtbot.waitUntil(is_ready, timeout=WAIT_MS)


def worker_of(page: ComparePage) -> int:
    return page.comparison._process.processId()


def test_a_person_compares_a_run_with_its_base(qtbot: QtBot, page: ComparePage, run: Run) -> None:
    page.show()
    comparison = page.comparison
    page.open_runs([run])
    assert comparison.state == "loading"
    assert not page.composer.button.isEnabled()
    assert [column.name.text() for column in page.columns] == ["Base", "poet"]
    wait_until_ready(qtbot, page)
    assert page.columns[0].status.text() == "the reference"
    assert page.columns[1].status.text().startswith("Δ logits ")
    assert page.columns[1].badge.text().startswith("step 40 · r4 · ")
    assert "loaded once" in page.summary.text()

    # A held-out prompt of the run is offered; one press asks it.
    chip, *_ = page.suggestions.widgets()
    assert chip.property("prompt") == "Tell me about a heron & <b>a hat</b>."
    comparison.set_sampling(max_tokens=200)
    grown: list[list[int]] = []
    comparison.streamed.connect(grown.append)
    qtbot.mouseClick(chip, Qt.MouseButton.LeftButton)
    assert comparison.state == "answering"
    assert page.composer.stop_button.isVisibleTo(page)
    wait_until_ready(qtbot, page)
    assert grown, "nothing was streamed before the replies"
    assert not page.suggestions.isVisibleTo(page)
    for column in page.columns:
        assert column.answers[-1].text == column.conversation.last_answer.replace("\r", "\n") != ""
        assert "tok/s" in column.status.text()
    first = [conversation.last_answer for conversation in comparison.conversations]
    assert first[0] != first[1]

    # A second turn, typed and sent by Enter; Shift+Enter only breaks the line.
    comparison.set_sampling(max_tokens=6)
    editor = page.composer.editor
    qtbot.keyClicks(editor, "And then")
    qtbot.keyClick(editor, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClicks(editor, "what?")
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    assert editor.toPlainText() == ""
    wait_until_ready(qtbot, page)
    assert [message.role for message in comparison.conversations[0].messages] == ["user", "assistant"] * 2
    assert comparison.conversations[0].messages[2].content == "And then\nwhat?"
    assert len(page.columns[0].answers) == 2

    # Answering again changes one column only.
    before = [conversation.last_answer for conversation in comparison.conversations]
    qtbot.mouseClick(page.columns[1].regenerate, Qt.MouseButton.LeftButton)
    wait_until_ready(qtbot, page)
    after = [conversation.last_answer for conversation in comparison.conversations]
    assert after[0] == before[0]
    assert after[1] != before[1]
    qtbot.mouseClick(page.columns[1].copy, Qt.MouseButton.LeftButton)
    assert QGuiApplication.clipboard().text() == after[1]

    # Stop ends an endless answer and keeps what is written.
    comparison.set_sampling(max_tokens=7000, temperature=1.0, top_p=1.0)
    page.composer.write("Never stop.")
    qtbot.mouseClick(page.composer.button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: any(len(one.partial) > 20 for one in comparison.conversations), timeout=WAIT_MS)
    qtbot.mouseClick(page.composer.stop_button, Qt.MouseButton.LeftButton)
    wait_until_ready(qtbot, page)
    assert all(one.last_answer for one in comparison.conversations)
    assert "cut" in " ".join(column.status.text() for column in page.columns)

    # A checkpoint joins from the menu; what was said stays.
    page.menu.fill()
    titles = [action.text() for action in page.menu.actions()]
    assert "poet" in titles
    assert "silent" not in titles
    steps = next(action.menu() for action in page.menu.actions() if action.text() == "poet")
    next(action for action in steps.actions() if action.text() == "Step 20").trigger()
    assert [column.badge.text()[:7] for column in page.columns] == ["no adap", "step 40", "step 20"]
    assert len(page.columns[0].answers) == 3
    wait_until_ready(qtbot, page)
    assert page.columns[2].conversation.difference

    # The first column goes; the rest answers on.
    qtbot.mouseClick(page.columns[0].remove, Qt.MouseButton.LeftButton)
    wait_until_ready(qtbot, page)
    comparison.set_sampling(max_tokens=5)
    comparison.ask("Still there?")
    wait_until_ready(qtbot, page)
    assert [len(one.messages) for one in comparison.conversations] == [8, 2]

    # New chat forgets, also in the middle of an answer, and no late word strays into the new chat.
    comparison.set_sampling(max_tokens=7000)
    comparison.ask("Go on for ever.")
    qtbot.waitUntil(lambda: any(one.partial for one in comparison.conversations), timeout=WAIT_MS)
    qtbot.mouseClick(page.new_chat, Qt.MouseButton.LeftButton)
    wait_until_ready(qtbot, page)
    assert not comparison.has_turns
    assert not any(column.answers for column in page.columns)

    # A killed worker is told in a sentence and mended by one press.
    psutil.Process(worker_of(page)).kill()
    qtbot.waitUntil(lambda: comparison.state == "failed", timeout=WAIT_MS)
    assert "ended unexpectedly" in page.notice.text
    assert page.notice.button.text() == "Try again"
    qtbot.mouseClick(page.notice.button, Qt.MouseButton.LeftButton)
    wait_until_ready(qtbot, page)
    assert page.notice.text == ""

    # A question that cannot be answered comes back into the composer.
    comparison.ask("Tell me " + "of hats " * 6000)
    wait_until_ready(qtbot, page)
    assert "tokens long" in page.notice.text
    assert page.composer.editor.toPlainText().startswith("Tell me of hats")
    assert not comparison.has_turns

    # The worker ends with the window.
    pid = worker_of(page)
    comparison.close()
    assert not psutil.pid_exists(pid)


def test_the_worker_never_outlives_its_page(qtbot: QtBot, store: RunStore, theme: Theme) -> None:
    page = ComparePage(Comparison(), store, theme)
    page.show()  # the worker starts ahead of the first columns
    pid = worker_of(page)
    assert psutil.pid_exists(pid)
    page.deleteLater()
    del page
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    qtbot.waitUntil(lambda: not psutil.pid_exists(pid), timeout=WAIT_MS)


def test_runs_of_different_bases_are_refused_in_a_sentence(
    page: ComparePage, run: Run, store: RunStore, tmp_path: Path
) -> None:
    other = make_run(RunStore(tmp_path), make_base(tmp_path / "other"), "stranger")
    page.open_runs([run, other])
    assert page.comparison.columns == []
    assert "stranger was trained on" in page.notice.text


def test_the_first_adapter_brings_its_base(page: ComparePage, run: Run) -> None:
    page.menu.fill()
    texts = [action.text() for action in page.menu.actions()]
    assert texts[0] == "storyteller (the base)"
    steps = next(action.menu() for action in page.menu.actions() if action.text() == "poet")
    next(action for action in steps.actions() if action.text() == "Newest weights").trigger()
    assert [column.kind for column in page.comparison.columns] == ["base", "adapter"]
    page.menu.fill()
    steps = next(action.menu() for action in page.menu.actions() if action.text() == "poet")
    next(action for action in steps.actions() if action.text() == "Newest weights").trigger()
    assert "already there" in page.notice.text
    assert len(page.comparison.columns) == 2


def test_the_sampling_panel_changes_the_next_question(qtbot: QtBot, page: ComparePage) -> None:
    panel, comparison = page.sampling, page.comparison
    editor = panel.fields["temperature"].editor
    editor.lineEdit().setText("0")
    editor.lineEdit().textEdited.emit("0")
    assert comparison.sampling.temperature == 0
    seed = panel.fields["seed"].editor
    seed.lineEdit().setText("7")
    seed.lineEdit().textEdited.emit("7")
    panel.system.setPlainText("Be brief.")
    assert (comparison.sampling.seed, comparison.system) == (7, "Be brief.")
    panel.fields["top_p"].edited.emit("sampling.top_p", 7)
    assert comparison.sampling.top_p == 0.95
    assert "between 0 and 1" in panel.fields["top_p"].remark
    panel._reset()
    assert comparison.sampling.temperature == 0.7
    assert comparison.system == ""


@pytest.mark.parametrize("room", [QSize(1024, 640), QSize(1664, 920)])
@pytest.mark.parametrize("num", range(1, 7))
def test_columns_fill_the_room_without_overlap_and_stay_readable(num: int, room: QSize) -> None:
    found = areas(num, room)
    assert len(found) == num
    for place, area in enumerate(found):
        assert area.left() >= 0
        assert area.top() >= 0
        assert area.right() < room.width() + 1
        assert area.bottom() < room.height() + 1
        assert area.width() >= NARROWEST
        assert area.height() >= 300
        assert not any(area.adjusted(-GAP + 1, 0, GAP - 1, 0).intersects(other) for other in found[:place])
    if num > 1:
        assert max(area.right() for area in found) == room.width() - 1


def test_hostile_words_stay_words(qtbot: QtBot, theme: Theme) -> None:
    hostile = '<img src="file:///etc/passwd"><b>bold</b> **x** [a](http://b) \u202e &amp; 🦊'
    column = Column(name=hostile, kind="adapter", folder="x", hash="<i>0</i>")
    conversation = Conversation(
        column, [Message(role="user", content=hostile), Message(role="assistant", content=hostile)]
    )
    conversation.difference = 0.0
    widget = ChatColumn(conversation, 1, theme)
    qtbot.addWidget(widget)
    widget.show()
    assert widget.answers[0].text == hostile.replace("\u202e", "\ufffd")
    for label in widget.findChildren(QLabel):
        assert label.textFormat() == Qt.TextFormat.PlainText
    assert widget.status.text() == "identical to base"
    assert widget.status.property("tone") == "tight"
    answer = widget.answers[0]
    answer.selectAll()
    assert answer.createMimeDataFromSelection().formats() == ["text/plain"]


def test_marks_fall_on_the_right_letters(qtbot: QtBot, theme: Theme) -> None:
    answer = AnswerText(theme)
    qtbot.addWidget(answer)
    text = "🦊 fox\n🎩 hat and cat"
    answer.show_text(text)
    start = text.index("hat")
    answer.mark([(start, start + 3)])
    (selection,) = answer.extraSelections()
    assert selection.cursor.selectedText() == "hat"


def test_text_grows_without_being_laid_out_anew_and_keeps_its_height(qtbot: QtBot, theme: Theme) -> None:
    frame = QWidget()
    qtbot.addWidget(frame)
    answer = AnswerText(theme)
    answer.setParent(frame)
    answer.resize(200, 20)
    frame.show()
    text, heights = "", []
    for word in (
        "Once upon a time there was a fox who had ",
        "a hat, and it was red.\n\nOne day ",
        "it was gone.",
    ):
        text += word
        answer.show_text(text)
        heights.append(answer.height())
    assert answer.text == text
    assert heights == sorted(heights)
    assert heights[0] < heights[-1]
    fresh = AnswerText(theme)
    fresh.setParent(frame)
    fresh.resize(200, 20)
    fresh.show_text(text)
    assert fresh.height() == heights[-1]


def test_a_column_follows_its_answer_unless_a_person_reads_further_up(qtbot: QtBot, theme: Theme) -> None:
    conversation = Conversation(Column(name="poet"), [Message(role="user", content="Tell me.")], is_answering=True)
    widget = ChatColumn(conversation, 0, theme)
    qtbot.addWidget(widget)
    widget.resize(260, 320)
    widget.show()
    bar = widget.talk.verticalScrollBar()

    def grow() -> None:
        conversation.partial += "One more line of the story.\n" * 10
        widget.show_growth()
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest)
        qtbot.wait(1)

    for _ in range(3):
        grow()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())
    bar.setValue(10)
    grow()
    assert bar.value() == 10
