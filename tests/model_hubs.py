"""A server on 127.0.0.1 that takes and gives repositories of models as the hub does."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from listening import listening


@dataclass
class ModelHub:
    """Repositories by name, each with its files."""

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    """Large files by sha256."""
    requests: list[str] = field(default_factory=list)
    tokens: set[str | None] = field(default_factory=set)
    refuse: int | None = None
    """A status to answer with, whatever is asked."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes to state instead of the true ones."""


class _Handler(BaseHTTPRequestHandler):
    hub: ModelHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._get()

    def do_GET(self) -> None:
        self._get()

    def do_PUT(self) -> None:
        content = self._body()
        self.hub.stored[hashlib.sha256(content).hexdigest()] = content
        self._json({})

    def do_POST(self) -> None:
        body = self._body()
        path = self._path()
        if self._refused():
            return
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
            self.hub.repos.setdefault(name, {".gitattributes": b"*.safetensors lfs\n"})
            self._json({"url": f"{self.hub.url}/{name}"})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif "/preupload/" in path:
            files = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {
                    "oid": one["oid"],
                    "size": one["size"],
                    "actions": {"upload": {"href": f"{self.hub.url}/put/{one['oid']}"}},
                }
                for one in json.loads(body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})
        elif "/commit/" in path:
            repo = path.removeprefix("/api/models/").partition("/commit/")[0]
            self._commit(repo, body)
        else:
            self._json({"error": path}, 404)

    def _commit(self, repo: str, body: bytes) -> None:
        files = self.hub.repos[repo]
        for line in body.splitlines():
            one = json.loads(line)
            if one["key"] == "file":
                files[one["value"]["path"]] = base64.b64decode(one["value"]["content"])
            elif one["key"] == "lfsFile":
                files[one["value"]["path"]] = self.hub.stored[one["value"]["oid"]]
        oid = _sha(files)
        url = f"{self.hub.url}/{repo}/commit/{oid}"
        self._json({"commitUrl": url, "commitOid": oid, "success": True, "hookOutput": ""})

    def _get(self) -> None:
        path = self._path()
        if self._refused():
            return
        repo = next((name for name in self.hub.repos if f"/{name}" in path), None)
        if repo is None:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return
        files = self.hub.repos[repo]
        if path.startswith("/api/models/"):
            siblings = [
                {
                    "rfilename": name,
                    "size": self.hub.sizes.get(name, len(content)),
                    "blobId": "0" * 40,
                }
                for name, content in files.items()
            ]
            about = {"id": repo, "sha": _sha(files), "siblings": siblings, "tags": []}
            self._json(about | {"private": False, "downloads": 0})
            return
        name = path.partition(f"/{repo}/resolve/")[2].partition("/")[2]
        if name not in files:
            self._json({}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        content = files[name]
        tag = hashlib.sha256(content).hexdigest()
        self._send(content, 200, {"X-Repo-Commit": _sha(files), "ETag": f'"{tag}"'})

    def _refused(self) -> bool:
        if self.hub.refuse is not None:
            self._json({"error": "no"}, self.hub.refuse)
        return self.hub.refuse is not None

    def _path(self) -> str:
        self.hub.tokens.add(self.headers.get("Authorization"))
        self.hub.requests.append(f"{self.command} {self.path}")
        return self.path.partition("?")[0]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _json(self, value: Any, status: int = 200, headers: Any = None) -> None:
        known = {"Content-Type": "application/json"} | (headers or {})
        self._send(json.dumps(value).encode(), status, known)

    def _send(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _sha(files: dict[str, bytes]) -> str:
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


@contextmanager
def serve() -> Iterator[ModelHub]:
    """A hub without any repository yet."""
    hub = ModelHub()
    with listening(type("Handler", (_Handler,), {"hub": hub})) as hub.url:
        yield hub
