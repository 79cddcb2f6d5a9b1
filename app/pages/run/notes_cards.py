"""What the run said, and the settings it was made with."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QPlainTextEdit

from app.state.live_run import LiveRun
from app.theme import Theme, mono_font
from app.widgets.button import Button
from app.widgets.card import Card
from app.widgets.log_view import LogView

HEIGHT = 300


class ToldCard(Card):
    """Every event worth reading, searchable."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("What it said", " ")
        self._live: LiveRun | None = None
        self.view = LogView(theme)
        self.view.setFixedHeight(HEIGHT)
        self.add_to_header(self.view.search)
        self.view.search.setFixedWidth(180)
        self.body.addWidget(self.view)

    def follow(self, live: LiveRun) -> None:
        self._live = live
        self.refresh()

    def refresh(self) -> None:
        if self._live is None:
            return
        self.view.show_events(self._live.told)
        warnings = self._live.history.num_warnings
        self.set_summary("" if not warnings else "1 warning" if warnings == 1 else f"{warnings} warnings")


class SettingsCard(Card):
    """The run's config as it was written, to read and to copy."""

    def __init__(self, theme: Theme) -> None:
        super().__init__("Settings", " ")
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(mono_font())
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFixedHeight(HEIGHT)
        self.text.setAccessibleName("Settings of the run")
        self.copy = Button("Copy", "quiet", tip="Copy the whole text").set_icon(theme, "copy")
        self.again = Button("New run with these")
        self.add_to_header(self.copy)
        self.add_to_header(self.again)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.text.toPlainText()))
        self.body.addWidget(self.text)

    def follow(self, live: LiveRun) -> None:
        try:
            words = live.run.config_file.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            words = f"config.yaml cannot be read: {error.strerror}."
        self.text.setPlainText(words)
