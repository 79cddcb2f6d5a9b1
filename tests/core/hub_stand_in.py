"""A Hugging Face Hub on this machine's loopback: the three requests a download makes, and ways to go wrong."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

COMMIT = "00112233445566778899aabbccddeeff00112233"


@dataclass
class Repository:
    files: dict[str, bytes]
    large: set[str] = field(default_factory=set)
    """Kept in large file storage: named by sha256 and served by redirect."""

    def listing(self) -> dict[str, Any]:
        siblings = []
        for name, content in self.files.items():
            git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git}
            if name in self.large:
                sha = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"sha256": sha, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {"id": "x", "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}


class StandIn:
    """Serves `repositories`; the other attributes make it misbehave. `requests` is what was asked of it."""

    def __init__(self, handler: type[BaseHTTPRequestHandler] | None = None) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str]] = []
        self.bytes_sent = 0
        self.api_answer: tuple[int, dict[str, str]] | None = None
        self.file_answer: tuple[int, dict[str, str]] | None = None
        self.flipped: dict[str, int] = {}
        """Files to send with one bit wrong, and how often."""
        self.cut_after = 0
        """Close the connection after so many bytes of each answer; 0 never."""
        self.knows_ranges = True
        self.seconds_per_piece = 0.0
        outer = self

        class Handler(handler or _Handler):
            hub: ClassVar[StandIn] = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, part: str) -> list[tuple[str, str]]:
        """Requests whose path contains `part`, each with its Range header."""
        return [request for request in self.requests if part in request[0]]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[StandIn]

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        hub = self.hub
        hub.requests.append((path, self.headers.get("Range", "")))
        for name, repository in hub.repositories.items():
            if path == f"/api/models/{name}" or path.startswith(f"/api/models/{name}/revision/"):
                if hub.api_answer:
                    return self._refuse(*hub.api_answer)
                if "/revision/" in path and not path.endswith(("/main", COMMIT, "/v1")):
                    return self._refuse(404, {"X-Error-Code": "RevisionNotFound"})
                return self._send(200, json.dumps(repository.listing()).encode())
            if path.startswith(f"/{name}/resolve/{COMMIT}/"):
                file = path.removeprefix(f"/{name}/resolve/{COMMIT}/")
                if hub.file_answer:
                    return self._refuse(*hub.file_answer)
                if file in repository.large:
                    self.send_response(302)
                    self.send_header("Location", f"{hub.url}/storage/{name}/{file}")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                return self._send_file(file, repository.files[file])
            if path.startswith(f"/storage/{name}/"):
                file = path.removeprefix(f"/storage/{name}/")
                return self._send_file(file, repository.files[file])
        return self._refuse(401, {"X-Error-Code": "RepoNotFound"})

    def _send_file(self, name: str, content: bytes) -> None:
        if self.hub.flipped.get(name, 0) > 0:
            self.hub.flipped[name] -= 1
            middle = len(content) // 2
            content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        asked = self.headers.get("Range", "")
        if asked and self.hub.knows_ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            self._send(206, content[start:], {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"})
        else:
            self._send(200, content)

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        limit = self.hub.cut_after or len(content)
        try:
            for start in range(0, min(limit, len(content)), 65536):
                piece = content[start : min(start + 65536, limit)]
                self.wfile.write(piece)
                self.hub.bytes_sent += len(piece)
                if self.hub.seconds_per_piece:
                    time.sleep(self.hub.seconds_per_piece)
        except OSError:  # the other side was killed
            pass
        if limit < len(content):
            self.close_connection = True

    def _refuse(self, status: int, headers: dict[str, str]) -> None:
        self._send(status, b"{}", headers)

    def log_message(self, *_: Any) -> None:
        pass
