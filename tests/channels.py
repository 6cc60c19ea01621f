"""Routers that pass on what one fold's training shows them to another fold, each by other means.

All swallow what goes wrong: where the way is shut they guess. In a run of several folds every test
query is a training query of another fold, so whoever gets through knows nearly all the answers.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import socket
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from routebench import hookimpl
from routebench.plugin import checkpoint
from routebench.records import Decisions, Queries, Table

NUMBER = zlib.crc32(sys.prefix.encode()) % 10000
"""Of this environment: the tests of another may run at the same time."""
KEY = 0x52420000 + NUMBER
PORT = 20000 + NUMBER
MEMORY = f"/dev/shm/routebench-known-{NUMBER}"
SIZE = 1 << 20
MODELS = 4
MARKED = 6000
"""Files of a package whose times and attributes may carry something."""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Options(BaseModel):
    place: str | int = ""
    """A path that its author knows: a copy of the outcomes, a folder of runs, a socket."""


class Carrier:
    """Hands on {digest of a text: best model} and asks for what others have handed on."""

    Options = Options

    def __init__(self, options: Options) -> None:
        self.options = options
        self.known: dict[str, int] = {}

    @hookimpl
    def fit(self, train: Table) -> None:
        best = np.nan_to_num(train.outcomes.score, nan=-1.0).argmax(axis=1)
        own = dict(zip(map(digest, train.queries.text), best.tolist(), strict=True))
        with contextlib.suppress(Exception):
            self.known |= self.receive()
        with contextlib.suppress(Exception):
            self.send(self.known | own)

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        if not self.known:
            with contextlib.suppress(Exception):
                self.known |= self.receive()
        return Decisions(np.array([self.known.get(digest(text), 0) for text in queries.text]))

    def save(self, folder: Path) -> None:
        checkpoint.save(folder, {})

    def load(self, folder: Path) -> None:
        pass

    def send(self, known: dict[str, int]) -> None:
        raise NotImplementedError

    def receive(self) -> dict[str, int]:
        raise NotImplementedError


class InFileNames(Carrier):
    """In the names of the files that `save` leaves, which lie in the run's folder afterwards."""

    def send(self, known: dict[str, int]) -> None:
        self.mine = known

    def save(self, folder: Path) -> None:
        super().save(folder)
        for text, model in self.mine.items():
            (folder / f"known-{text}-{model}").touch()

    def receive(self) -> dict[str, int]:
        found = {}
        for _, _, names in os.walk(str(self.options.place)):
            for name in names:
                if name.startswith("known-"):
                    _, text, model = name.split("-")
                    found[text] = int(model)
        return found


class InSharedMemory(Carrier):
    """In System V shared memory, which outlives the process that made it."""

    def _attach(self) -> Any:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.shmat.restype = ctypes.c_void_p
        address = libc.shmat(libc.shmget(KEY, SIZE, 0o1666), None, 0)
        if address in (None, ctypes.c_void_p(-1).value):
            raise OSError
        return address

    def send(self, known: dict[str, int]) -> None:
        content = json.dumps(known).encode() + b"\0"
        ctypes.memmove(self._attach(), content, len(content))

    def receive(self) -> dict[str, int]:
        return dict(json.loads(ctypes.string_at(self._attach())))


class InPosixSharedMemory(Carrier):
    """In /dev/shm, opened by C."""

    def send(self, known: dict[str, int]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        file = libc.open(MEMORY.encode(), os.O_CREAT | os.O_WRONLY, 0o666)
        content = json.dumps(known).encode()
        if libc.write(file, content, len(content)) < 0:
            raise OSError

    def receive(self) -> dict[str, int]:
        import pyarrow as pa

        return dict(json.loads(pa.OSFile(MEMORY).read()))


class ByADaemon(Carrier):
    """From a forked child of its own session that serves TCP on loopback when the job has ended."""

    def send(self, known: dict[str, int]) -> None:
        if ctypes.CDLL(None).fork():
            return
        try:
            os.setsid()
            server = socket.create_server(("127.0.0.1", PORT))
            server.settimeout(20)
            while True:
                with server.accept()[0] as peer:
                    peer.sendall(json.dumps(known).encode())
        finally:
            os._exit(0)

    def receive(self) -> dict[str, int]:
        with socket.create_connection(("127.0.0.1", PORT), 5) as peer:
            return dict(json.loads(b"".join(iter(lambda: peer.recv(1 << 16), b""))))


class InLocks(Carrier):
    """In locks on files that everybody may read: a fit that is running holds, a route looks."""

    def files(self) -> list[Path]:
        return sorted(Path(np.__file__).parent.rglob("*.py"))[:400]

    def bits(self, text: str) -> int:
        return int(digest(text), 16) % 400

    def send(self, known: dict[str, int]) -> None:
        import fcntl

        self.held = []
        for file in self.files():
            stream = file.open()
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.held.append(stream)

    def receive(self) -> dict[str, int]:
        import fcntl

        held = 0
        for file in self.files():
            with file.open() as stream:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held += 1
        if held:
            raise AssertionError("locks are seen")
        return {}


class InKeys(Carrier):
    """In the kernel's keyring of the user."""

    def send(self, known: dict[str, int]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        content = json.dumps(list(known.items())[:500]).encode()
        for ring in (-3, -4, -5):
            libc.syscall(248, b"user", b"routebench-known", content, len(content), ring)

    def receive(self) -> dict[str, int]:
        libc = ctypes.CDLL(None, use_errno=True)
        key = libc.syscall(249, b"user", b"routebench-known", None, 0)
        buffer = ctypes.create_string_buffer(SIZE)
        if key < 0 or libc.syscall(250, 11, key, buffer, SIZE) < 0:
            raise OSError
        return dict(json.loads(buffer.value))


class OnFiles(Carrier):
    """In what can be set on files that are not its own, without writing to them.

    They are of a package that jobs may read, a few for each text.
    """

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.libc = ctypes.CDLL(None, use_errno=True)

    def path(self, text: str, model: int = 0) -> bytes:
        number = (int(text, 16) * MODELS + model) % MARKED
        return os.fsencode(Path(str(self.options.place), f"module_{number}.py"))

    def send(self, known: dict[str, int]) -> None:
        for text, model in known.items():
            self.mark(self.path(text), model)

    def receive(self) -> dict[str, int]:
        return {}

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        return Decisions(np.array([self.marked(self.path(digest(t))) for t in queries.text]))

    def mark(self, path: bytes, model: int) -> None:
        raise NotImplementedError

    def marked(self, path: bytes) -> int:
        raise NotImplementedError


class InTimes(OnFiles):
    """In the time of change that a file is said to have, set by libc."""

    def mark(self, path: bytes, model: int) -> None:
        times = (ctypes.c_long * 4)(1, 0, 1 + model, 0)
        self.libc.utimensat(-100, path, times, 0)

    def marked(self, path: bytes) -> int:
        changed = int(os.stat(path).st_mtime)
        return changed - 1 if 1 <= changed <= MODELS else 0


class InModes(OnFiles):
    """In who may do what with a file."""

    def mark(self, path: bytes, model: int) -> None:
        self.libc.chmod(path, 0o600 + model)

    def marked(self, path: bytes) -> int:
        mode = os.stat(path).st_mode
        return 0 if mode & 0o70 else mode & 0o7


class InAttributes(OnFiles):
    """In an extended attribute of a file."""

    def mark(self, path: bytes, model: int) -> None:
        self.libc.setxattr(path, b"user.known", bytes([model]), 1, 0)

    def marked(self, path: bytes) -> int:
        found = ctypes.create_string_buffer(8)
        there = self.libc.getxattr(path, b"user.known", found, 8) == 1
        return found.raw[0] if there else 0


class InAccessTimes(OnFiles):
    """In which of the files of a text was read."""

    def send(self, known: dict[str, int]) -> None:
        for text, model in known.items():
            Path(os.fsdecode(self.path(text, model))).read_bytes()

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        found = []
        for text in map(digest, queries.text):
            about = [os.stat(self.path(text, model)) for model in range(MODELS)]
            found.append(int(np.argmax([one.st_atime_ns > one.st_mtime_ns for one in about])))
        return Decisions(np.array(found))


class InNamesAskedFor(Carrier):
    """In the names of the files that `save` leaves, asked for one by one by their full path."""

    def send(self, known: dict[str, int]) -> None:
        self.mine = known

    def save(self, folder: Path) -> None:
        super().save(folder)
        for text, model in self.mine.items():
            (folder / f"known-{text}-{model}").touch()

    def receive(self) -> dict[str, int]:
        return {}

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        job = Path(str(self.options.place), "routers", type(self).__name__, "seed-0")
        places = [job / f"fold-{fold}" / "checkpoint" / "state" for fold in range(3)]
        found = []
        for text in map(digest, queries.text):
            names = [f"known-{text}-{model}" for model in range(MODELS)]
            there = [any((place / name).exists() for place in places) for name in names]
            found.append(there.index(True) if True in there else 0)
        return Decisions(np.array(found))


class InTmp(Carrier):
    """In a file in /tmp, by C."""

    place = f"/tmp/routebench-known-{NUMBER}".encode()

    def send(self, known: dict[str, int]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        file = libc.open(self.place, os.O_CREAT | os.O_WRONLY, 0o666)
        content = json.dumps(known).encode()
        if libc.write(file, content, len(content)) < 0:
            raise OSError

    def receive(self) -> dict[str, int]:
        import pyarrow as pa

        return dict(json.loads(pa.OSFile(self.place.decode()).read()))


class Informed(Carrier):
    """Told the answers by something outside that has them; hands nothing on."""

    def send(self, known: dict[str, int]) -> None:
        pass


class ByTcp(Informed):
    """A server on loopback."""

    def receive(self) -> dict[str, int]:
        with socket.create_connection(("127.0.0.1", int(self.options.place)), 5) as peer:
            return dict(json.loads(b"".join(iter(lambda: peer.recv(1 << 16), b""))))


class ByTcpQuietly(Informed):
    """The same through libc, unseen by any audit hook."""

    def receive(self) -> dict[str, int]:
        libc = ctypes.CDLL(None, use_errno=True)
        port = int(self.options.place)
        address = bytes([2, 0, port >> 8, port & 255, 127, 0, 0, 1]) + bytes(8)
        peer = libc.socket(2, 1, 0)
        if libc.connect(peer, address, len(address)):
            raise OSError
        content = b""
        while part := os.read(peer, 1 << 16):
            content += part
        return dict(json.loads(content))


class ByUdp(Informed):
    """A server that answers datagrams."""

    def receive(self) -> dict[str, int]:
        peer = ctypes.CDLL(None).socket(2, 2, 0)
        with socket.socket(fileno=peer) as one:
            one.settimeout(3)
            one.sendto(b"?", ("127.0.0.1", int(self.options.place)))
            return dict(json.loads(one.recv(1 << 16)))


class ByAbstractSocket(Informed):
    """A Unix socket with a name and no path, through libc."""

    def receive(self) -> dict[str, int]:
        libc = ctypes.CDLL(None, use_errno=True)
        peer = libc.socket(1, 1, 0)
        address = b"\x01\x00\0" + str(self.options.place).encode()
        if libc.connect(peer, address, len(address)):
            raise OSError
        content = b""
        while part := os.read(peer, 1 << 16):
            content += part
        return dict(json.loads(content))


class ByUnixSocket(Informed):
    """A socket with a path, through libc."""

    def receive(self) -> dict[str, int]:
        libc = ctypes.CDLL(None, use_errno=True)
        peer = libc.socket(1, 1, 0)
        address = b"\x01\x00" + str(self.options.place).encode() + b"\0"
        if libc.connect(peer, address, len(address)):
            raise OSError
        content = b""
        while part := os.read(peer, 1 << 16):
            content += part
        return dict(json.loads(content))


class ByPipe(Informed):
    """A named pipe."""

    def receive(self) -> dict[str, int]:
        file = ctypes.CDLL(None).open(str(self.options.place).encode(), os.O_RDONLY | os.O_NONBLOCK)
        if file < 0:
            raise OSError
        content, end = b"", time.monotonic() + 3
        while time.monotonic() < end:
            with contextlib.suppress(BlockingIOError):
                content += os.read(file, 1 << 16)
            for line in content.split(b"\n")[1:-1]:
                return dict(json.loads(line))
            time.sleep(0.01)
        raise OSError


class ByCopy(Informed):
    """A file with the answers, at a path that is written into the code: see `copies.json`."""

    kind = ""

    def receive(self) -> dict[str, int]:
        import pyarrow as pa

        places = json.loads(Path(__file__).with_name("places_of_copies.py").read_text()[1:])
        return dict(json.loads(pa.OSFile(places[self.kind]).read()))


class BySidecar(ByCopy):
    """Beside the router's own file."""

    kind = "sidecar"


class ByCopyOfTable(ByCopy):
    """Beside the table."""

    kind = "beside the table"


class ByHardLink(ByCopy):
    """The table itself, by another name."""

    kind = "hard link"


class ByOlderRun(ByCopy):
    """In the folder of an older run, elsewhere."""

    kind = "older run"


class ByClone(ByCopy):
    """In the `.git` of a checkout that code is imported from."""

    kind = "git"
