"""One column of a comparison: who speaks, what was said, and the proof that its weights are in effect."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QColor, QGuiApplication, QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from app.state.comparison import Conversation
from app.state.word_diff import WordDiff
from app.theme import CARD_PADDING, CARD_RADIUS, CONTROL_RADIUS, Theme
from app.widgets.answer_text import AnswerText
from app.widgets.button import Button
from app.widgets.label import ElidedLabel, Label, hairline, set_tooltip

STRIPE = 3
COPIED_MS = 1200
NEAR_END = 24


class ChatColumn(QFrame):
    """Shows a Conversation of app.state; `show_*` redraw what changed. Emits what a person presses."""

    regenerate_pressed = Signal()
    remove_pressed = Signal()

    def __init__(self, conversation: Conversation, color_index: int, theme: Theme) -> None:
        super().__init__()
        self.conversation, self._theme = conversation, theme
        self._color_index = color_index
        self._turns: list[Bubble | AnswerText] = []
        self._hint = self._progress = ""
        self.setMinimumSize(150, 180)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        column = conversation.column
        self.setAccessibleName(f"{column.name}, {column.badge}")
        self.name = ElidedLabel(column.name, "card-title")
        self.badge = ElidedLabel(column.badge, "small")
        self.remove = Button("", "mini", tip="Remove this column", name=f"Remove {column.name}")
        self.remove.set_icon(theme, "close", "faint")
        self.remove.clicked.connect(lambda: self.remove_pressed.emit())
        self.waiting = Label("", "small", wrap=True)
        self.waiting.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.talk = Talk()
        self.talk.column.addWidget(self.waiting, 1)
        self.status = Status("", "small")
        self.regenerate = Button("", "mini", tip="Answer again with other dice", name="Answer again")
        self.regenerate.set_icon(theme, "refresh")
        self.regenerate.clicked.connect(lambda: self.regenerate_pressed.emit())
        self.copy = Button("", "mini", tip="Copy the answer", name="Copy the answer").set_icon(theme, "copy")
        self.copy.clicked.connect(self._copy)
        self._lay_out()
        self.talk.verticalScrollBar().valueChanged.connect(lambda _: self.update())
        theme.changed.connect(self.show_status)
        self.show_turns()

    @property
    def answers(self) -> list[AnswerText]:
        return [turn for turn in self._turns if isinstance(turn, AnswerText)]

    def show_turns(self) -> None:
        """Draw the whole conversation anew."""
        for turn in self._turns:
            self.talk.column.removeWidget(turn)
            turn.hide()
            turn.deleteLater()
        self._turns = []
        for message in self.conversation.messages:
            if message.role == "user":
                self._add(Bubble(message.content, self._theme))
            else:
                self._add_answer(message.content)
        if self.conversation.is_answering:
            self._add_answer(self.conversation.partial)
        self.show_status()
        self.talk.to_end()

    def show_growth(self) -> None:
        """Draw what the answer has grown by."""
        if self.answers and self.conversation.is_answering:
            self.answers[-1].show_text(self.conversation.partial)

    def show_reply(self) -> None:
        """Draw the finished answer."""
        if self.answers:
            self.answers[-1].show_text(self.conversation.last_answer)
        self.show_status()

    def show_diff(self, diff: WordDiff | None, other: str) -> None:
        """Mark what differs in the last answer from column `other`; None marks nothing."""
        if self.answers:
            self.answers[-1].mark(diff.ranges if diff else ())
        self._hint = f"unlike {other}" if diff and diff.is_other else ""
        self.show_status()

    def show_progress(self, progress: str) -> None:
        """Say in an empty column what it is waiting for."""
        self._progress = progress
        self.show_status()

    def show_status(self) -> None:
        """The footer, the caret, and the words that stand in an empty column."""
        one, is_empty = self.conversation, not self._turns
        color = QColor(self._color())
        for answer in self.answers:
            answer.set_writing(color if one.is_answering and answer is self.answers[-1] else None)
        self.waiting.setText(self._progress or ("Ready" if one.difference is not None else ""))
        self.waiting.setVisible(is_empty)
        self.talk.stretch_is_shown(not is_empty)
        words = " · ".join(filter(None, (self._proof(), self._pace())))
        self.status.setText(words)
        self.status.set_tone("tight" if one.is_identical else "")
        set_tooltip(self.status, f"{words}. {self._proof_in_words()}" if words else "")
        has_answer = bool(one.last_answer) and not one.is_answering
        self.regenerate.setEnabled(bool(one.messages) and not one.is_answering)
        self.copy.setEnabled(has_answer)
        for button in (self.regenerate, self.copy):
            button.setVisible(not is_empty)
        self.update()

    def set_color(self, index: int) -> None:
        self._color_index = index
        self.show_status()

    def sizeHint(self) -> QSize:
        return QSize(260, 320)

    def paintEvent(self, event: QPaintEvent) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), CARD_RADIUS, CARD_RADIUS)
        painter.fillPath(outline, QColor(tokens.card))
        painter.setPen(QPen(QColor(tokens.line), 1))
        painter.drawPath(outline)
        if self.talk.verticalScrollBar().value() > 0:
            edge = self.talk.geometry().top() - 0.5
            painter.drawLine(QPointF(1, edge), QPointF(self.width() - 1, edge))
        painter.setClipRect(QRectF(0, 0, self.width(), STRIPE))
        whole = QPainterPath()
        whole.addRoundedRect(QRectF(self.rect()), CARD_RADIUS, CARD_RADIUS)
        painter.fillPath(whole, QColor(self._color()))

    def _lay_out(self) -> None:
        names = QHBoxLayout()
        names.setSpacing(8)
        names.addWidget(self.name, 1)
        names.addWidget(self.remove, 0, Qt.AlignmentFlag.AlignVCenter)
        head = QVBoxLayout()
        head.setContentsMargins(CARD_PADDING, 12, 10, 10)
        head.setSpacing(1)
        head.addLayout(names)
        head.addWidget(self.badge)
        foot = QHBoxLayout()
        foot.setContentsMargins(0, 7, 0, 7)
        foot.setSpacing(4)
        foot.addWidget(self.status, 1)
        foot.addWidget(self.regenerate)
        foot.addWidget(self.copy)
        bottom = QVBoxLayout()
        bottom.setContentsMargins(CARD_PADDING, 0, CARD_PADDING - 4, 0)
        bottom.setSpacing(0)
        bottom.addWidget(hairline())
        bottom.addLayout(foot)
        column = QVBoxLayout(self)
        column.setContentsMargins(1, STRIPE, 1, 1)
        column.setSpacing(0)
        column.addLayout(head)
        column.addWidget(self.talk, 1)
        column.addLayout(bottom)

    def _add(self, turn: Bubble | AnswerText) -> None:
        self._turns.append(turn)
        self.talk.column.insertWidget(self.talk.column.count() - 1, turn)

    def _add_answer(self, text: str) -> None:
        answer = AnswerText(self._theme)
        answer.show_text(text)
        self._add(answer)

    def _color(self) -> str:
        colors = self._theme.tokens.columns
        return colors[self._color_index % len(colors)]

    def _proof(self) -> str:
        one = self.conversation
        if one.difference is None:
            return ""
        if one.column.kind == "base":
            return "the reference"
        return "identical to base" if one.is_identical else f"Δ logits {one.difference:.2f}"

    def _proof_in_words(self) -> str:
        one = self.conversation
        if one.difference is None:
            return ""
        if one.column.kind == "base":
            return "The base model, without any adapter; the other columns are measured against it."
        if one.is_identical:
            return "These weights change nothing: every score is the same as the base's. Is it the right adapter?"
        return f"The largest difference of any score to the base on a test prompt is {one.difference:.4g}."

    def _pace(self) -> str:
        one = self.conversation
        if one.is_answering:
            return "writing"
        if not one.tokens_per_second:
            return ""
        cut = "cut" if one.was_cut else ""
        return " · ".join(filter(None, (f"{one.tokens_per_second:.0f} tok/s", cut, self._hint)))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.conversation.last_answer)
        self.copy.set_icon(self._theme, "check", "fits")
        QTimer.singleShot(COPIED_MS, self.copy, lambda: self.copy.set_icon(self._theme, "copy"))


class Status(ElidedLabel):
    """A line whose tooltip says more than its words."""

    def event(self, event: QEvent) -> bool:
        return QLabel.event(self, event)


class Bubble(QFrame):
    """What a person asked, on a quiet ground."""

    def __init__(self, text: str, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.text = AnswerText(theme, tone="secondary")
        row = QVBoxLayout(self)
        row.setContentsMargins(10, 9, 10, 5)
        row.addWidget(self.text)
        self.text.show_text(text)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.changed.connect(self.update)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._theme.color("hover"))
        painter.drawRoundedRect(QRectF(self.rect()), CONTROL_RADIUS, CONTROL_RADIUS)


class Talk(QScrollArea):
    """The turns of a conversation; stays at its end while it grows, unless a person has scrolled up."""

    def __init__(self) -> None:
        super().__init__()
        inside = QWidget()
        inside.setObjectName("clear")
        self.column = QVBoxLayout(inside)
        self.column.setContentsMargins(CARD_PADDING, 2, CARD_PADDING - 4, CARD_PADDING)
        self.column.setSpacing(12)
        self._is_at_end = True
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setWidget(inside)
        bar = self.verticalScrollBar()
        bar.valueChanged.connect(self._moved)
        bar.rangeChanged.connect(self._grown)

    def to_end(self) -> None:
        self._is_at_end = True
        self._grown()

    def stretch_is_shown(self, is_shown: bool) -> None:
        """Whether free room lies beneath the turns, or the one widget that stands there fills it."""
        self.column.setAlignment(Qt.AlignmentFlag.AlignTop if is_shown else Qt.AlignmentFlag(0))

    def _moved(self, value: int) -> None:
        self._is_at_end = value >= self.verticalScrollBar().maximum() - NEAR_END

    def _grown(self, *_: int) -> None:
        if self._is_at_end:
            bar = self.verticalScrollBar()
            bar.setValue(bar.maximum())
