"""The datasets of a Hugging Face Hub on this machine's loopback: search, two branches, files by range."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

from hub_stand_in import Repository, StandIn, _Handler

OWN_COMMIT = "ffeeddccbbaa99887766554433221100ffeeddcc"
PARQUET_COMMIT = "0123456789abcdef0123456789abcdef01234567"


class DataStandIn(StandIn):
    """Serves `datasets`: for each its own files and, unless None, those of the branch of Parquet."""

    def __init__(self) -> None:
        super().__init__(_DataHandler)
        self.datasets: dict[str, tuple[Repository, Repository | None]] = {}
        self.search_answer = b""
        self.cards: dict[str, dict[str, Any]] = {}


class _DataHandler(_Handler):
    hub: ClassVar[DataStandIn]  # type: ignore[misc]

    def do_GET(self) -> None:
        hub, split = self.hub, urlsplit(self.path)
        path = unquote(split.path)
        hub.requests.append((path, self.headers.get("Range", "")))
        if path == "/api/datasets":
            if hub.api_answer:
                return self._refuse(*hub.api_answer)
            if hub.search_answer:
                return self._send(200, hub.search_answer)
            words = parse_qs(split.query)["search"][0]
            found = [self._listed(name) for name in hub.datasets if words in name]
            return self._send(200, json.dumps(found).encode())
        for name, (own, converted) in hub.datasets.items():
            if path.startswith(f"/api/datasets/{name}"):
                if hub.api_answer:
                    return self._refuse(*hub.api_answer)
                is_parquet = path.endswith("/revision/refs/convert/parquet")
                repository = converted if is_parquet else own
                if repository is None:
                    return self._refuse(404, {"X-Error-Code": "RevisionNotFound"})
                commit = PARQUET_COMMIT if is_parquet else OWN_COMMIT
                document = {**repository.listing(), **self._listed(name), "sha": commit}
                return self._send(200, json.dumps({**document, "cardData": hub.cards.get(name)}).encode())
            for commit, repository in ((OWN_COMMIT, own), (PARQUET_COMMIT, converted)):
                start = f"/datasets/{name}/resolve/{commit}/"
                if path.startswith(start) and repository:
                    if hub.file_answer:
                        return self._refuse(*hub.file_answer)
                    return self._send_file(path.removeprefix(start), repository.files[path.removeprefix(start)])
        return self._refuse(401, {"X-Error-Code": "RepoNotFound"})

    def _listed(self, name: str) -> dict[str, Any]:
        return {"id": name, "downloads": 7, "likes": 2, "tags": ["size_categories:1K<n<10K"], "private": False,
                "gated": False, "description": "Rows\n to try."}  # fmt: skip

    def _send_file(self, name: str, content: bytes) -> None:
        asked = self.headers.get("Range", "")
        if not asked or asked.endswith("-") or not self.hub.knows_ranges:
            return super()._send_file(name, content)
        first, last = map(int, asked.removeprefix("bytes=").split("-"))
        end = min(last + 1, len(content))
        self._send(206, content[first:end], {"Content-Range": f"bytes {first}-{end - 1}/{len(content)}"})
        return None
