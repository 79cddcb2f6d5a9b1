"""The progress of a download from the Hub, in a line."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from app.state.download import Download
from app.widgets.button import Button
from app.widgets.label import Label
from core.figures import duration, size


class DownloadRow(QWidget):
    """A bar, the bytes, the speed, the time left, and Cancel."""

    def __init__(self, download: Download) -> None:
        super().__init__()
        self._download = download
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setAccessibleName("Download")
        self._words = Label("", "small")
        self._cancel = Button("Cancel", "quiet")
        self._cancel.clicked.connect(download.cancel)
        row = QHBoxLayout()
        row.addWidget(self._words, 1)
        row.addWidget(self._cancel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self._bar)
        column.addLayout(row)
        download.changed.connect(self._show)

    def _show(self) -> None:
        done, total, speed = self._download.done_bytes, self._download.total_bytes, self._download.bytes_per_second
        self._bar.setRange(0, 1000 if total else 0)
        self._bar.setValue(round(1000 * done / total) if total else 0)
        words = [self._download.label]
        if total:
            words.append(f"{size(done)} of {size(total)}")
        if speed > 0:
            words.append(f"{size(speed)}/s")
            words.append(f"{duration((total - done) / speed)} left")
        self._words.setText(" · ".join(filter(None, words)))
