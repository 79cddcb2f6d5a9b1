"""The window's process: Qt and pyqtgraph live here, torch never does."""
