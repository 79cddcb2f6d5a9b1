"""A file on the Hub that is read where it lies, a range at a time, for a look at its first rows."""

from __future__ import annotations

import io
from collections.abc import Callable

from core.errors import HoneError
from core.models.transfer import CONNECT_SECONDS, READ_SECONDS

LEAST_BYTES = 2**16
MOST_BYTES = 64 * 2**20


class RemoteFile(io.RawIOBase):
    """Readable and seekable. `num_fetched` counts bytes; beyond MOST_BYTES of them, a read raises HoneError."""

    def __init__(self, url: str, num_bytes: int, is_wanted: Callable[[], bool] = lambda: True) -> None:
        super().__init__()
        self.num_bytes = num_bytes
        self.num_fetched = 0
        self._url, self._is_wanted = url, is_wanted
        self._place = 0
        self._kept: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.num_bytes}[whence]
        self._place = max(0, start + offset)
        return self._place

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = self.num_bytes
        end = min(self.num_bytes, self._place + size)
        parts = []
        while self._place < end:
            block = self._place // LEAST_BYTES
            content = self._block(block, -(-end // LEAST_BYTES) - block)
            piece = content[self._place - block * LEAST_BYTES : end - block * LEAST_BYTES]
            parts.append(piece)
            self._place += len(piece)
        return b"".join(parts)

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        content = self.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _block(self, number: int, wanted: int) -> bytes:
        """A block of LEAST_BYTES; the wanted ones after it that are not here yet come with it."""
        if number not in self._kept:
            count = 1
            while count < wanted and number + count not in self._kept:
                count += 1
            content = self._fetch(number * LEAST_BYTES, min(self.num_bytes, (number + count) * LEAST_BYTES))
            for place in range(count):
                self._kept[number + place] = content[place * LEAST_BYTES : (place + 1) * LEAST_BYTES]
        return self._kept[number]

    def _fetch(self, start: int, end: int) -> bytes:
        from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

        if not self._is_wanted():
            raise HoneError("The preview is no longer wanted.", path="data.source")
        if self.num_fetched + end - start > MOST_BYTES:
            raise HoneError(
                "The first rows are too large for a preview; download the data to look.", path="data.source"
            )
        headers = build_hf_headers() | {"Accept-Encoding": "identity", "Range": f"bytes={start}-{end - 1}"}
        timeout = (CONNECT_SECONDS, READ_SECONDS, READ_SECONDS, READ_SECONDS)
        found = bytearray()
        with get_session().stream(
            "GET", self._url, headers=headers, timeout=timeout, follow_redirects=True
        ) as answer:
            hf_raise_for_status(answer)
            skip = start if answer.status_code != 206 else 0  # a server that knows no ranges sends the whole
            for piece in answer.iter_bytes():
                found += piece[skip:]
                skip = max(0, skip - len(piece))
                if len(found) >= end - start or not self._is_wanted():
                    break
        if len(found) < end - start:
            raise TimeoutError("the connection closed early")
        self.num_fetched += end - start
        return bytes(found[: end - start])
