"""A server on 127.0.0.1 that behaves like the hub, and can misbehave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from listening import listening

REPO = "someone/some-data"


@dataclass
class Hub:
    """Revisions of one data set by commit, and what to do wrong next."""

    url: str = ""
    head: str = ""
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    plain: set[str] = field(default_factory=set)
    """Files that are known by their git blob id instead of a sha256."""
    cut: int | None = None
    """Close the connection after so many bytes of the next download, and then be down."""
    down: bool = False
    stated: str | None = None
    """A sha256 to state instead of the true one."""
    answers_as: str | None = None
    """A commit to answer with instead of the one that was asked for."""
    elsewhere: str | None = None
    """The address of a server that downloads are sent on to."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and range of what was asked."""
    tokens: list[str | None] = field(default_factory=list)
    sent: int = 0
    """Bytes of content."""

    def commit(self, files: dict[str, bytes]) -> str:
        """Make a revision and move the head to it."""
        self.head = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[self.head] = files
        return self.head

    def downloads(self) -> list[tuple[str, str | None]]:
        """Path and range of every download, and forget the requests so far."""
        found = [(p, r) for m, p, r in self.requests if m == "GET" and "/resolve/" in p]
        self.requests.clear()
        return found


def etag(hub: Hub, name: str, content: bytes) -> str:
    """How the hub names content."""
    if name in hub.plain:
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return hub.stated or hashlib.sha256(content).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_GET(self) -> None:
        self._answer("GET")

    def _answer(self, method: str) -> None:
        hub, path = self.hub, self.path.partition("?")[0]
        wanted = self.headers.get("Range")
        hub.requests.append((method, path, wanted))
        hub.tokens.append(self.headers.get("Authorization"))
        if hub.down:
            self._reply(503, b"down")
        elif path.startswith(f"/api/datasets/{REPO}"):
            self._reply(
                200, json.dumps(self._info()).encode(), {"Content-Type": "application/json"}
            )
        elif path.startswith(f"/datasets/{REPO}/resolve/"):
            revision, _, name = path.removeprefix(f"/datasets/{REPO}/resolve/").partition("/")
            files = hub.commits.get(hub.head if revision == "main" else revision)
            if files is None or name not in files:
                code = "RevisionNotFound" if files is None else "EntryNotFound"
                self._reply(404, b"", {"X-Error-Code": code, "X-Error-Message": "not found"})
                return
            if method == "GET" and hub.elsewhere:
                self._reply(302, b"", {"Location": hub.elsewhere + path})
                return
            headers = {"X-Repo-Commit": hub.answers_as or revision}
            if name not in hub.plain:
                headers |= {"X-Linked-Etag": f'"{etag(hub, name, files[name])}"'}
                headers |= {"X-Linked-Size": str(len(files[name]))}
            self._content(method, files[name], wanted, headers, etag(hub, name, files[name]))
        else:
            self._reply(404, b"nothing")

    def _info(self) -> dict[str, Any]:
        hub, files = self.hub, self.hub.commits[self.hub.head]
        siblings = []
        for name, content in files.items():
            entry: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
            if name in hub.plain:
                entry["blobId"] = etag(hub, name, content)
            else:
                digest = etag(hub, name, content)
                entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append(entry)
        return {"id": REPO, "sha": hub.head, "siblings": siblings, "tags": [], "private": False}

    def _content(
        self, method: str, content: bytes, wanted: str | None, headers: dict[str, str], tag: str
    ) -> None:
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted else 0
        body = content[start:]
        headers |= {"ETag": f'"{tag}"', "Accept-Ranges": "bytes"}
        if wanted:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._reply(206 if wanted else 200, body, headers, method)

    def _reply(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, method: str = ""
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if (method or self.command) == "HEAD":
            return
        if method == "GET" and self.hub.cut is not None:
            body, self.hub.cut, self.hub.down = body[: self.hub.cut], None, True
            self.close_connection = True
        if method == "GET":
            self.hub.sent += len(body)
        self.wfile.write(body)


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub without any data yet."""
    hub = Hub()
    with listening(type("Handler", (_Handler,), {"hub": hub})) as hub.url:
        yield hub
