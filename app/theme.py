"""The look: tokens for light and dark, and the one object that tells everyone when they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from string import Template
from types import MappingProxyType
from typing import Literal

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication, QWidget

from core.places import RESOURCES

Appearance = Literal["system", "light", "dark"]

GRID = 4
PAGE_MARGIN = 24
CARD_PADDING = 16
FIELD_GAP = 12
CONTROL_HEIGHT = 32
CARD_RADIUS = 8
CONTROL_RADIUS = 6
SIDEBAR_WIDTH = 208
PLAN_WIDTH = 392

SEGMENTS: Mapping[str, str] = MappingProxyType(
    {
        "weights": "#4B5B8C",
        "constants": "#7C8BBA",
        "adapter": "#7A6FF0",
        "gradients": "#B39DF3",
        "optimizer": "#2A9D8F",
        "activations": "#E9A23B",
        "recompute": "#E07A3F",
        "head_and_loss": "#C8557B",
        "workspace": "#9AA5B1",
        "context": "#C9CED6",
    }
)


@dataclass(frozen=True)
class Tokens:
    """Every colour of one scheme, as #RRGGBB."""

    name: Literal["light", "dark"]
    page: str
    side: str
    card: str
    field: str
    hover: str
    line: str
    strong_line: str
    text: str
    secondary: str
    faint: str
    accent: str
    accent_hover: str
    on_accent: str
    wash: str
    fits: str
    tight: str
    no: str
    fits_wash: str
    tight_wash: str
    no_wash: str
    mark: str
    hatch: str
    others: str
    segments: Mapping[str, str]
    curves: tuple[str, ...]
    """Okabe–Ito, in the order curves take them; tell them apart by dash too."""
    columns: tuple[str, ...]
    """Top edges of comparison columns: the base first, then adapters."""

    @property
    def is_dark(self) -> bool:
        return self.name == "dark"

    def verdict(self, verdict: str) -> str:
        """The colour of a verdict: "fits", "tight" or "does not fit"."""
        return {"fits": self.fits, "tight": self.tight, "does not fit": self.no}.get(verdict, self.secondary)


LIGHT = Tokens(
    name="light",
    page="#FAF9F7",
    side="#F3F1ED",
    card="#FFFFFF",
    field="#FAF9F7",
    hover="#F1EFEB",
    line="#E7E4DF",
    strong_line="#D3CEC6",
    text="#1F1D1A",
    secondary="#6B665E",
    faint="#97918A",
    accent="#5B4FD6",
    accent_hover="#4C40C6",
    on_accent="#FFFFFF",
    wash="#EEECFB",
    fits="#1A7B4E",
    tight="#946219",
    no="#C03B3B",
    fits_wash="#E6F4EC",
    tight_wash="#FBF1DD",
    no_wash="#FBEAEA",
    mark="#FFF3C9",
    hatch="#C9C4BB",
    others="#9AA5B1",
    segments=SEGMENTS,
    curves=("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9"),
    columns=("#6B665E", "#5B4FD6", "#2A9D8F", "#C8557B", "#E9A23B", "#4B5B8C"),
)

DARK = Tokens(
    name="dark",
    page="#171614",
    side="#1B1A18",
    card="#1F1E1B",
    field="#171614",
    hover="#2A2825",
    line="#33312D",
    strong_line="#4A4741",
    text="#ECE9E4",
    secondary="#A29C92",
    faint="#7C766D",
    accent="#9A90FF",
    accent_hover="#ACA4FF",
    on_accent="#17151F",
    wash="#2A2746",
    fits="#4CC38A",
    tight="#E5B25D",
    no="#FF8A80",
    fits_wash="#1D3328",
    tight_wash="#372C18",
    no_wash="#3A2220",
    mark="#4A3F16",
    hatch="#57534B",
    others="#6B7480",
    segments=SEGMENTS,
    curves=("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#F0E442"),
    columns=("#A29C92", "#9A90FF", "#2A9D8F", "#C8557B", "#E9A23B", "#7C8BBA"),
)


class Theme(QObject):
    """The tokens now in force. Follows the system unless a person chose light or dark."""

    changed = Signal()

    def __init__(self, app: QApplication, appearance: Appearance = "system") -> None:
        super().__init__(app)
        self._app = app
        self.appearance: Appearance = appearance
        self.tokens = self._wanted()
        app.setStyle("Fusion")
        app.setFont(interface_font())
        app.setPalette(_palette(self.tokens))
        app.setStyleSheet(style_sheet(self.tokens))
        self._sheet = ""
        """What windows wear over the application's sheet, once the scheme is another than at the start."""
        app.styleHints().colorSchemeChanged.connect(self._follow)

    def set_appearance(self, appearance: Appearance) -> None:
        self.appearance = appearance
        self._follow()

    def color(self, name: str) -> QColor:
        """A token as a colour to paint with: theme.color("accent")."""
        return QColor(getattr(self.tokens, name))

    def _wanted(self) -> Tokens:
        if self.appearance == "system":
            return DARK if self._app.styleHints().colorScheme() == Qt.ColorScheme.Dark else LIGHT
        return DARK if self.appearance == "dark" else LIGHT

    def _follow(self) -> None:
        if (wanted := self._wanted()) is not self.tokens:
            self.tokens, self._sheet = wanted, style_sheet(wanted)
            self._app.setPalette(_palette(wanted))
            for window in self._app.topLevelWidgets():
                self.dress(window)
            self.changed.emit()

    def dress(self, window: QWidget) -> None:
        """Put a window without a parent into the scheme now in force; also one that is made after a change.

        WORKAROUND: QStyleSheetStyle::repolish. A change of the application's sheet polishes each widget once for
        every one that it stands in, 18 times the deepest: 160 ms, where a sheet of the window takes 45.
        """
        if self._sheet and window.parentWidget() is None:
            window.setStyleSheet(self._sheet)


def style_sheet(tokens: Tokens) -> str:
    """resources/style.qss with the tokens' colours, the fonts and the icon folder filled in."""
    values = {field.name: getattr(tokens, field.name) for field in fields(tokens)}
    words = {name: value for name, value in values.items() if isinstance(value, str)}
    template = Template((RESOURCES / "style.qss").read_text(encoding="utf-8"))
    return template.substitute(words, icons=(RESOURCES / "icons").as_posix(), mono=mono_font().family())


def interface_font() -> QFont:
    """Inter where it is installed, else the platform's own; 13 px, figures of equal width."""
    font = QFont("Inter") if QFontDatabase.hasFamily("Inter") else QFont(QApplication.font())
    font.setPixelSize(13)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def mono_font(pixels: int = 12) -> QFont:
    """The platform's font for code and tokens."""
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
    font.setPixelSize(pixels)
    return font


@lru_cache(maxsize=32)
def sized(pixels: int, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The interface font at another size, for what is painted by hand. Shared: copy it before changing it."""
    font = interface_font()
    font.setPixelSize(pixels)
    font.setWeight(weight)
    return font


def restyle(widget: QWidget, **properties: object) -> None:
    """Set dynamic properties that the style sheet looks at (role, kind, state), polishing again if they differ."""
    if all(widget.property(name) == value for name, value in properties.items()):
        return
    for name, value in properties.items():
        widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)
    widget.update()


def _palette(tokens: Tokens) -> QPalette:
    palette, role = QPalette(), QPalette.ColorRole
    colors = {
        role.Window: tokens.page,
        role.WindowText: tokens.text,
        role.Base: tokens.field,
        role.AlternateBase: tokens.hover,
        role.Text: tokens.text,
        role.Button: tokens.card,
        role.ButtonText: tokens.text,
        role.BrightText: tokens.no,
        role.ToolTipBase: tokens.card,
        role.ToolTipText: tokens.text,
        role.PlaceholderText: tokens.secondary,
        role.Highlight: tokens.accent,
        role.HighlightedText: tokens.on_accent,
        role.Accent: tokens.accent,
        role.Link: tokens.accent,
        role.Light: tokens.card,
        role.Midlight: tokens.line,
        role.Mid: tokens.line,
        role.Dark: tokens.strong_line,
        role.Shadow: tokens.strong_line,
    }
    for where, value in colors.items():
        palette.setColor(where, QColor(value))
    for where in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, where, QColor(tokens.faint))
    return palette
