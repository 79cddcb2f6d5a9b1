"""The memory plan as a tall bar: a run's parts piled up against what its device has free.

A run that is small beside its device is enlarged: a thin bar across the top shows the whole device to scale,
and the tall one below it the run alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QEvent, QLineF, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QBrush,
    QColor,
    QFont,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme import Theme, sized
from app.widgets import words
from app.widgets.memory_layout import MemoryPicture, Piece, spread, stack
from core.figures import GIB
from core.figures import size as shown_size

BAR_WIDTH = 64.0
LABEL_X = 88.0
ROW = 21.0
OVERVIEW = 10.0
LENS_TOP = 58.0


@dataclass(frozen=True)
class Row:
    """One label: the piece it names, where the piece is and where the words are."""

    name: str
    words: str
    num_bytes: int
    anchor: float
    y: float
    is_strong: bool = False


class MemoryBar(QWidget):
    """`show_picture(None)` empties it. Hovering a part dims the others and explains it."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._picture: MemoryPicture | None = None
        self._pieces: list[Piece] = []
        self._rows: list[Row] = []
        self._hovered = ""
        self._free_line: tuple[float, float] | None = None
        self.setMouseTracking(True)
        self.setMinimumHeight(230)
        self.setMaximumHeight(460)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Memory plan")
        theme.changed.connect(self.update)

    def sizeHint(self) -> QSize:
        return QSize(344, 372)

    @property
    def picture(self) -> MemoryPicture | None:
        return self._picture

    @property
    def rows(self) -> list[Row]:
        """The labels now shown, from top to bottom."""
        return self._rows

    def show_picture(self, picture: MemoryPicture | None) -> None:
        if picture != self._picture:
            self._picture = picture
            self._arrange()
            self.setAccessibleDescription(
                ", ".join(f"{row.words} {shown_size(row.num_bytes)}" for row in self._rows)
            )
            self.update()

    def resizeEvent(self, event: QEvent) -> None:
        self._arrange()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        name = self._name_at(event.position())
        if name != self._hovered:
            self._hovered = name
            self.update()
            if name in words.PARTS:
                QToolTip.showText(event.globalPosition().toPoint(), words.PARTS[name][1], self)
            else:
                QToolTip.hideText()

    def leaveEvent(self, event: QEvent) -> None:
        self._hovered = ""
        self.update()

    def _name_at(self, point: QPointF) -> str:
        if point.x() <= BAR_WIDTH:
            return next((p.name for p in self._pieces if p.top <= point.y() <= p.bottom), "")
        return next((row.name for row in self._rows if abs(row.y - point.y()) <= ROW / 2), "")

    # Where things go

    def _arrange(self) -> None:
        picture, height = self._picture, float(self.height())
        self._pieces, self._rows, self._free_line = [], [], None
        if picture is None:
            return
        if picture.is_small:
            self._arrange_lens(picture, height)
        else:
            self._arrange_device(picture, height)

    def _arrange_lens(self, picture: MemoryPicture, height: float) -> None:
        scale = (height - LENS_TOP - 1) / (picture.peak + picture.band)
        self._pieces = stack(picture.parts, height - 1, scale)
        self._band = (
            (self._pieces[-1].top - picture.band * scale, self._pieces[-1].top) if self._pieces else (0, 0)
        )
        self._rows = self._label(self._pieces[::-1], LENS_TOP, height)

    def _arrange_device(self, picture: MemoryPicture, height: float) -> None:
        top = 0.5
        reach = max(picture.total, picture.peak + picture.band)
        has_others = picture.others > 0.005 * reach
        if picture.fits and has_others:  # room for the words "other programs" above the free line
            top = max(top, ROW + 6 - (reach - picture.free) / reach * height)
        scale = (height - top - 1) / reach
        self._top = top
        self._pieces = stack(picture.parts, height - 1, scale)
        peak_y = self._pieces[-1].top if self._pieces else height - 1
        self._band = (peak_y - picture.band * scale, peak_y)
        line = height - 1 - picture.free * scale
        total_y = height - 1 - picture.total * scale
        self._taken = (total_y, line)
        above = []
        if has_others:
            above.append(Piece("others", picture.others, total_y, total_y + picture.others * scale))
        if picture.ours > 0.005 * reach:
            above.append(Piece("ours", picture.ours, line - picture.ours * scale, line))
        free = Piece("free", picture.free, line, line + ROW)
        below = self._pieces[::-1]
        needed = (len(below) + 1) * ROW
        if picture.fits and line + needed <= height and len(above) * ROW <= line:
            self._free_line = (line, float(self.width()))
            self._rows = self._label(above, 0, line - 1) + self._label([free, *below], line + 2, height)
        else:
            self._free_line = (line, BAR_WIDTH + 8)
            merged = sorted(
                [*above, Piece("free", picture.free, line, line), *below], key=lambda piece: piece.middle
            )
            self._rows = self._label(merged, 0, height)

    def _label(self, pieces: list[Piece], top: float, bottom: float) -> list[Row]:
        """Label rows for pieces given from top to bottom."""
        places = spread([piece.middle for piece in pieces], ROW, top + ROW / 2, bottom - ROW / 2)
        named = {"others": "other programs", "ours": "Hone and its runs", "free": "free"}
        return [
            Row(
                piece.name,
                named.get(piece.name) or words.PARTS[piece.name][0],
                piece.num_bytes,
                piece.middle,
                y,
                is_strong=piece.name == "free",
            )
            for piece, y in zip(pieces, places, strict=True)
        ]

    # Painting

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._picture is None:
            self._paint_empty()
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._picture.is_small:
            self._paint_overview(painter, self._picture)
            self._paint_pile(painter, LENS_TOP)
        else:
            self._paint_pile(painter, self._top)
        for row in self._rows:
            self._paint_row(painter, row)
        if self._free_line is not None:
            y, right = self._free_line
            pen = QPen(QColor(self._theme.tokens.text), 1.5, Qt.PenStyle.CustomDashLine)
            pen.setDashPattern([2.4, 2.0])
            painter.setPen(pen)
            painter.drawLine(QLineF(0, y, right, y))

    def _paint_empty(self) -> None:
        tokens, painter = self._theme.tokens, QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(tokens.strong_line), 1, Qt.PenStyle.DashLine))
        painter.setBrush(QColor(tokens.field))
        painter.drawRoundedRect(QRectF(0.5, 0.5, BAR_WIDTH - 1, self.height() - 1.5), 8, 8)

    def _paint_pile(self, painter: QPainter, top: float) -> None:
        tokens, picture = self._theme.tokens, self._picture
        assert picture is not None
        box = QRectF(0.5, top, BAR_WIDTH - 1, self.height() - 1 - top)
        outline = QPainterPath()
        outline.addRoundedRect(box, 8, 8)
        painter.fillPath(outline, QColor(tokens.field))
        painter.save()
        painter.setClipPath(outline)
        if not picture.is_small:
            taken = QRectF(0, self._taken[0], BAR_WIDTH, self._taken[1] - self._taken[0])
            painter.fillRect(taken, self._hatch(tokens.hatch))
            if picture.ours and picture.total > picture.free:
                ours = taken.height() * picture.ours / (picture.total - picture.free)
                area = QRectF(0, taken.bottom() - ours, BAR_WIDTH, ours)
                painter.fillRect(area, QColor(tokens.wash))
                painter.fillRect(area, self._hatch(tokens.accent))
        for piece in self._pieces:
            self._paint_piece(painter, piece)
        band = QRectF(0, self._band[0], BAR_WIDTH, self._band[1] - self._band[0])
        painter.fillRect(band, self._hatch(tokens.secondary, thin=True))
        if not picture.fits:
            self._paint_overflow(painter, self._taken[1])
        painter.restore()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(tokens.line if picture.fits else tokens.no), 1))
        painter.drawPath(outline)

    def _paint_piece(self, painter: QPainter, piece: Piece) -> None:
        tokens = self._theme.tokens
        area = QRectF(0, piece.top, BAR_WIDTH, piece.bottom - piece.top)
        painter.setOpacity(self._opacity(piece.name))
        if piece.name == "margin":
            painter.fillRect(area, QColor(tokens.line))
            painter.fillRect(area, self._hatch(tokens.faint))
        else:
            painter.fillRect(area, QColor(tokens.segments[piece.name]))
        painter.setOpacity(1)
        if area.height() > 5:  # a hair of light between neighbours
            painter.fillRect(QRectF(0, piece.top, BAR_WIDTH, 1), QColor(tokens.card))

    def _paint_overflow(self, painter: QPainter, line: float) -> None:
        tokens = self._theme.tokens
        over = QRectF(0, 0, BAR_WIDTH, line)
        veil = QColor(tokens.card)
        veil.setAlphaF(0.35)
        painter.fillRect(over, veil)
        painter.fillRect(over, self._hatch(tokens.no, thin=True))

    def _paint_overview(self, painter: QPainter, picture: MemoryPicture) -> None:
        """The whole device across the top, and the lens that leads from the run's share to the tall bar."""
        tokens, width = self._theme.tokens, float(self.width())
        box = QRectF(0, 0.5, width, OVERVIEW)
        outline = QPainterPath()
        outline.addRoundedRect(box, 5, 5)
        run = max(3.0, width * picture.peak / picture.total)
        taken = width * (picture.total - picture.free) / picture.total
        lens = QPolygonF(
            [
                QPointF(0, OVERVIEW + 2),
                QPointF(run, OVERVIEW + 2),
                QPointF(BAR_WIDTH, LENS_TOP),
                QPointF(0, LENS_TOP),
            ]
        )
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(tokens.wash))
        painter.drawPolygon(lens)
        painter.fillPath(outline, QColor(tokens.field))
        painter.save()
        painter.setClipPath(outline)
        painter.fillRect(QRectF(width - taken, 0, taken, OVERVIEW + 1), self._hatch(tokens.hatch))
        painter.fillRect(QRectF(0, 0, run, OVERVIEW + 1), QColor(tokens.accent))
        painter.restore()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(tokens.line), 1))
        painter.drawPath(outline)
        pen = QPen(QColor(tokens.text), 1.5, Qt.PenStyle.CustomDashLine)
        pen.setDashPattern([1.6, 1.4])
        painter.setPen(pen)
        painter.drawLine(QLineF(width - taken, -2, width - taken, OVERVIEW + 8))
        ours = picture.ours if picture.ours > 0.005 * picture.total else 0
        held = (("Hone", ours), ("others", picture.total - picture.free - ours))
        self._paint_amounts(painter, [("free", picture.free), *(one for one in held if one[1] > 0)])

    def _paint_amounts(self, painter: QPainter, amounts: list[tuple[str, int]]) -> None:
        """Right-aligned words under the overview: "free 10.9 GiB   others 5.1 GiB"."""
        tokens, right = self._theme.tokens, float(self.width())
        for name, num_bytes in reversed(amounts):
            for text, font, color in (
                (shown_size(num_bytes), sized(12, QFont.Weight.DemiBold), tokens.text),
                (f"{name} ", sized(12), tokens.secondary),
            ):
                painter.setFont(font)
                painter.setPen(QColor(color))
                width = painter.fontMetrics().horizontalAdvance(text)
                painter.drawText(QPointF(right - width, OVERVIEW + 24), text)
                right -= width
            right -= 14

    def _paint_row(self, painter: QPainter, row: Row) -> None:
        tokens = self._theme.tokens
        painter.setOpacity(self._opacity(row.name))
        if row.name != "free" or self._free_line == (row.anchor, BAR_WIDTH + 8):
            painter.setPen(QPen(QColor(tokens.strong_line), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            path = QPainterPath(QPointF(BAR_WIDTH + 2, row.anchor))
            path.cubicTo(
                QPointF(BAR_WIDTH + 12, row.anchor), QPointF(LABEL_X - 14, row.y), QPointF(LABEL_X - 4, row.y)
            )
            painter.drawPath(path)
        x = LABEL_X
        if row.name != "free":
            self._paint_swatch(painter, QRectF(x, row.y - 4.5, 9, 9), row.name)
            x += 17
        is_run = row.name in words.PARTS
        text = QColor(tokens.text)
        if not is_run and not row.is_strong:
            text = QColor(tokens.secondary)
        area = QRectF(x, row.y - ROW / 2, self.width() - x, ROW)
        painter.setFont(sized(12, QFont.Weight.DemiBold if row.is_strong else QFont.Weight.Normal))
        painter.setPen(text)
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter, row.words)
        number, unit = self._amount(row.num_bytes)
        painter.setFont(sized(11))
        painter.setPen(QColor(tokens.secondary))
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, unit)
        painter.setFont(sized(12, QFont.Weight.DemiBold))
        painter.setPen(text)
        area.setRight(self.width() - 27)
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight, number)
        painter.setOpacity(1)

    def _amount(self, num_bytes: int) -> tuple[str, str]:
        """Number and unit, all rows in the same one: GiB, or MiB for a run under one GiB."""
        assert self._picture is not None
        if self._picture.peak >= GIB or num_bytes >= GIB:
            return f"{num_bytes / GIB:.2f}" if num_bytes >= 0.005 * GIB else "<0.01", "GiB"
        amount = num_bytes / 2**20
        return f"{amount:.{0 if amount >= 9.95 else 1}f}" if amount >= 0.05 else "<0.1", "MiB"

    def _opacity(self, name: str) -> float:
        return 1.0 if not self._hovered or name == self._hovered else 0.35

    def _paint_swatch(self, painter: QPainter, box: QRectF, name: str) -> None:
        tokens = self._theme.tokens
        if name in tokens.segments:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(tokens.segments[name]))
        else:
            color = {"others": tokens.secondary, "ours": tokens.accent}.get(name, tokens.secondary)
            painter.setPen(QPen(QColor(color), 1))
            painter.setBrush(self._hatch(color, thin=True))
            box = box.adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(box, 2, 2)

    def _hatch(self, color: str, thin: bool = False) -> QBrush:
        return hatch_brush(color, self.devicePixelRatioF(), 1.0 if thin else 1.6)


@lru_cache(maxsize=32)
def hatch_brush(color: str, ratio: float, width: float) -> QBrush:
    """Diagonal stripes, six pixels apart, that tile without a seam."""
    period = 6
    tile = QPixmap(round(period * ratio), round(period * ratio))
    tile.setDevicePixelRatio(ratio)
    tile.fill(Qt.GlobalColor.transparent)
    painter = QPainter(tile)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(color), width))
    for shift in (-period, 0, period):
        painter.drawLine(QLineF(shift - 1, period + 1, shift + period + 1, -1))
    painter.end()
    return QBrush(tile)
