"""The look: every token is used in words or paint, readable on its ground, and follows the system."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QColor, QFontMetricsF
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.theme import DARK, LIGHT, SEGMENTS, Theme, interface_font, style_sheet
from app.widgets import words
from app.widgets.icon import pixmap
from app.widgets.label import ElidedLabel, Label, set_tooltip
from app.widgets.popup import Popup
from core.memory.estimate import PART_NAMES
from core.places import RESOURCES


def luminance(color: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    own = QColor(color)
    parts = [own.redF(), own.greenF(), own.blueF()]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_words_can_be_read_on_every_ground_they_stand_on(tokens):
    for ground in (tokens.page, tokens.card, tokens.side, tokens.field):
        assert contrast(tokens.text, ground) >= 7
        assert contrast(tokens.secondary, ground) >= 4.5
        assert contrast(tokens.accent, ground) >= 3
    for verdict in ("fits", "tight", "no"):
        for ground in ("page", "card", "side", "field", f"{verdict}_wash"):
            assert contrast(getattr(tokens, verdict), getattr(tokens, ground)) >= 4.5, (verdict, ground)
    assert contrast(tokens.on_accent, tokens.accent) >= 4.5
    assert contrast(tokens.text, tokens.mark) >= 7 and contrast(tokens.text, tokens.fits_wash) >= 7


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_the_style_sheet_is_filled_in_and_its_pictures_exist(tokens):
    text = style_sheet(tokens)
    assert "$" not in text
    pictures = re.findall(r"url\(([^)]+)\)", text)
    assert pictures
    for picture in pictures:
        assert (RESOURCES / "icons" / picture.rpartition("/")[2]).is_file(), picture


def test_both_schemes_give_every_token(qapp):
    for field in fields(LIGHT):
        value = getattr(DARK, field.name)
        assert type(value) is type(getattr(LIGHT, field.name))
        if isinstance(value, str) and field.name != "name":
            assert re.fullmatch(r"#[0-9A-F]{6}", value), field.name


def test_every_part_of_memory_has_a_colour_and_words():
    assert set(PART_NAMES) - {"margin"} == set(SEGMENTS)
    assert set(words.PARTS) == set(PART_NAMES)
    assert len(set(SEGMENTS.values())) == len(SEGMENTS)


def test_figures_have_equal_width(theme):
    metrics = QFontMetricsF(interface_font())
    widths = {round(metrics.horizontalAdvance(figure * 8), 3) for figure in "0123456789"}
    assert len(widths) == 1


def test_a_choice_is_followed_and_told_once(theme, qapp):
    told = []
    theme.changed.connect(lambda: told.append(theme.tokens.name))
    theme.set_appearance("dark")
    theme.set_appearance("dark")
    assert told == ["dark"] and theme.color("accent") == QColor(DARK.accent)
    theme.set_appearance("light")
    assert told == ["dark", "light"]


class Polishings(QObject):
    """How often the style of a widget is changed."""

    def __init__(self, widget: QWidget) -> None:
        super().__init__(widget)
        self.count = 0
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        self.count += event.type() == QEvent.Type.StyleChange
        return False


def test_a_change_polishes_no_widget_once_for_each_that_it_stands_in(theme, qtbot):
    window = inner = QWidget()
    qtbot.addWidget(window)
    for _ in range(15):
        column = QVBoxLayout(inner)
        inner = QWidget()
        column.addWidget(inner)
    label = Label("words", "secondary")
    QVBoxLayout(inner).addWidget(label)
    window.show()
    polishings = Polishings(label)
    theme.set_appearance("dark")
    assert 1 <= polishings.count <= 3
    assert label.palette().color(label.foregroundRole()) == QColor(DARK.secondary)
    made_after = Popup(theme, 200)
    qtbot.addWidget(made_after)
    late = Label("words", "secondary")
    made_after.body.addWidget(late)
    late.ensurePolished()
    assert late.palette().color(late.foregroundRole()) == QColor(DARK.secondary)
    theme.set_appearance("light")
    assert label.palette().color(label.foregroundRole()) == QColor(LIGHT.secondary)
    assert late.palette().color(late.foregroundRole()) == QColor(LIGHT.secondary)


def test_every_icon_paints_something_in_its_colour(theme):
    for path in sorted((RESOURCES / "icons").glob("*.svg")):
        picture = pixmap(path.stem, "#FF0000", 32).toImage()
        colors = {picture.pixelColor(x, y).name() for x in range(32) for y in range(32)
                  if picture.pixelColor(x, y).alpha() > 200}  # fmt: skip
        assert colors, path.name
        if "currentColor" in path.read_text():
            assert "#ff0000" in colors, path.name


def test_labels_and_tips_never_guess_markup(theme, qtbot):
    label = Label("<img src='file:///etc/passwd'>")
    qtbot.addWidget(label)
    assert label.textFormat().name == "PlainText"
    plain = QLabel("x")
    qtbot.addWidget(plain)
    set_tooltip(plain, "<b>5 < 6 & more</b>")
    assert "&lt;b&gt;5 &lt; 6 &amp; more&lt;/b&gt;" in plain.toolTip()
    set_tooltip(plain, "")
    assert plain.toolTip() == ""


def test_a_cut_line_tells_the_rest_in_its_tooltip(theme, qtbot):
    label = ElidedLabel("a rather long name of a rather long thing")
    qtbot.addWidget(label)
    label.resize(60, 20)
    label.show()
    assert "rather long thing" in label.toolTip()
    label.resize(600, 20)
    assert label.toolTip() == ""


def test_a_theme_of_the_system_takes_what_the_system_has(qapp, theme):
    own = Theme(qapp, "system")
    assert own.tokens in (LIGHT, DARK)
    own.deleteLater()
