"""Tokens as a model gets them: trained ones washed and underlined, special ones as chips, and where it is cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTextCharFormat,
    QTextLayout,
    QTextLine,
    QTextOption,
)
from PySide6.QtWidgets import QAbstractScrollArea, QFrame, QToolTip

from app.theme import Theme, mono_font
from app.widgets.token_layout import Kind, Paragraph, Part, Span, Token, arrange

LINE = 22.0
INSET = 2.0
CHIP_RADIUS = 3.0
RIGHT_MARGIN = 10
WASHES = {
    "trained": "fits_wash", "trained special": "fits_wash", "unwanted": "no_wash", "unwanted special": "no_wash",
}  # fmt: skip
"""What stands behind tokens that are learnt."""


@dataclass
class Block:
    """One paragraph laid out, with its top in the whole text."""

    paragraph: Paragraph
    layout: QTextLayout
    top: float = 0.0


class Ink:
    """What a painting needs of the theme, made once for all its tokens."""

    def __init__(self, theme: Theme) -> None:
        self.text = theme.color("text")
        self.washes = {kind: theme.color(wash) for kind, wash in WASHES.items()}
        lines = {kind: _pen(theme.color(wash.removesuffix("_wash")), 1.5) for kind, wash in WASHES.items()}
        self.lines: dict[str, QPen] = {**lines, "plain": _pen(theme.color("line"), 1.0)}
        self.chip, self.cut = _pen(theme.color("strong_line"), 1.0), _pen(theme.color("no"), 1.0)


class TokenView(QAbstractScrollArea):
    """`show_parts` replaces what is shown. Only what is in sight is painted, so length costs nothing."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._tokens: Sequence[Token] = ()
        self._blocks: list[Block] = []
        self._tops: list[float] = []
        self._height = 0.0
        self._font = mono_font(12)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Row as the model sees it")
        self.viewport().setAutoFillBackground(False)
        theme.changed.connect(self._recolor)

    @property
    def paragraphs(self) -> list[Paragraph]:
        return [block.paragraph for block in self._blocks]

    def show_parts(self, parts: Sequence[Part]) -> None:
        """Show the sequences of a row, one after another."""
        self._tokens = [token for part in parts for token in part.tokens]
        self._blocks = [self._block(paragraph) for paragraph in arrange(parts)]
        self._lay_out()
        self.verticalScrollBar().setValue(0)
        self.setAccessibleDescription("".join(text for text, _, _ in self._tokens[:500]))

    def resizeEvent(self, event: QResizeEvent) -> None:
        self._lay_out()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            QGuiApplication.clipboard().setText("".join(text for text, _, _ in self._tokens))
        else:
            super().keyPressEvent(event)

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            span = self._span_at(QPointF(event.pos()))
            words = f"<p style='margin:0'>{escape(self._describe(span))}</p>" if span else ""
            QToolTip.showText(event.globalPos(), words, self.viewport())
            return True
        return super().viewportEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.translate(0, -self.verticalScrollBar().value())
        ink = Ink(self._theme)
        for block, line in self._lines_in_sight():
            pieces: list[tuple[Kind, QRectF]] = [(span.kind, place) for span, place in self._pieces(block, line)]
            for kind, place in pieces:
                if kind in WASHES:
                    painter.fillRect(place.adjusted(0, INSET, 0, -INSET), ink.washes[kind])
            painter.setPen(ink.text)
            line.draw(painter, QPointF(0, block.top))
            _paint_fronts(painter, pieces, ink)

    def _block(self, paragraph: Paragraph) -> Block:
        layout = QTextLayout(paragraph.text, self._font)
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        layout.setCacheEnabled(True)
        layout.setFormats(list(self._formats(paragraph)))
        return Block(paragraph, layout)

    def _formats(self, paragraph: Paragraph) -> Iterator[QTextLayout.FormatRange]:
        colors = {"special": "secondary", "trained special": "secondary", "unwanted special": "secondary",
                  "lost": "faint", "cut": "no", "split": "secondary", "name": "text"}  # fmt: skip
        for span in paragraph.spans:
            if span.kind in colors:
                yield _format(span.start, span.end, self._theme.color(colors[span.kind]))
        for place in paragraph.returns:
            yield _format(place, place + 1, self._theme.color("faint"))

    def _lay_out(self) -> None:
        width, top = max(40.0, self.viewport().width() - RIGHT_MARGIN), 0.0
        for block in self._blocks:
            block.top, down = top, 0.0
            block.layout.beginLayout()
            while (line := block.layout.createLine()).isValid():
                line.setLineWidth(width)
                line.setPosition(QPointF(0, down + (LINE - line.height()) / 2))
                down += LINE
            block.layout.endLayout()
            top += down
        self._tops, self._height = [block.top for block in self._blocks], top
        bar = self.verticalScrollBar()
        bar.setPageStep(self.viewport().height())
        bar.setSingleStep(round(LINE))
        bar.setRange(0, max(0, round(top) - self.viewport().height()))
        self.viewport().update()

    def _recolor(self) -> None:
        for block in self._blocks:
            block.layout.setFormats(list(self._formats(block.paragraph)))
        self._lay_out()

    def _lines_in_sight(self) -> Iterator[tuple[Block, QTextLine]]:
        top = float(self.verticalScrollBar().value())
        bottom = top + self.viewport().height()
        for block in self._blocks[max(0, bisect_right(self._tops, top) - 1) :]:
            if block.top > bottom:
                return
            first = max(0, int((top - block.top) // LINE))
            for number in range(first, block.layout.lineCount()):
                if block.top + number * LINE > bottom:
                    return
                yield block, block.layout.lineAt(number)

    def _pieces(self, block: Block, line: QTextLine) -> Iterator[tuple[Span, QRectF]]:
        """Each token that stands on a line, with the place of its letters there."""
        begin, end = line.textStart(), line.textStart() + line.textLength()
        spans = block.paragraph.spans
        top, width = block.top + line.y() + (line.height() - LINE) / 2, line.width()
        for span in spans[max(0, bisect_right(spans, begin, key=lambda span: span.end)) :]:
            if span.start >= end:
                return
            left, right = (_x(line, place) for place in (max(span.start, begin), min(span.end, end)))
            left, right = min(left, right, width), min(max(left, right), width)
            yield span, QRectF(left, top, right - left, LINE)

    def _span_at(self, point: QPointF) -> Span | None:
        point += QPointF(0, self.verticalScrollBar().value())
        for block, line in self._lines_in_sight():
            for span, place in self._pieces(block, line):
                if place.contains(point):
                    return span if span.number >= 0 else None
        return None

    def _describe(self, span: Span) -> str:
        text, is_trained, _ = self._tokens[span.number]
        fate = "trained" if is_trained else "read, not trained"
        fate = "lost to the length limit" if span.kind == "lost" else fate
        fate = "learnt as what not to say" if "unwanted" in span.kind else fate
        return f"Token {span.number + 1:,}, {text!r}: {fate}"


def _paint_fronts(painter: QPainter, pieces: Sequence[tuple[Kind, QRectF]], ink: Ink) -> None:
    """The lines under tokens, those of one kind in one go, and the frames of chips."""
    lines: dict[str, list[QLineF]] = {}
    for kind, place in pieces:
        if kind in WASHES or (kind == "plain" and place.width() > 3):
            low = place.bottom() - INSET - 0.5
            lines.setdefault(kind, []).append(QLineF(place.left() + 0.5, low, place.right() - 1.0, low))
        if "special" in kind or kind in ("cut", "split", "name"):
            painter.setPen(ink.cut if kind == "cut" else ink.chip)
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(place.adjusted(1.5, 2.5, -1.5, -2.5), CHIP_RADIUS, CHIP_RADIUS)
    for kind, drawn in lines.items():
        painter.setPen(ink.lines[kind])
        painter.drawLines(drawn)


def _format(start: int, end: int, color: QColor) -> QTextLayout.FormatRange:
    found = QTextLayout.FormatRange()
    found.start, found.length = start, end - start
    look = QTextCharFormat()
    look.setForeground(color)
    found.format = look
    return found


def _x(line: QTextLine, place: int) -> float:
    found: Any = line.cursorToX(place)  # bound as a pair, declared as an object
    return float(found[0])


def _pen(color: QColor, width: float) -> QPen:
    pen = QPen(color, width)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen
