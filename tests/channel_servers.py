"""What serves answers from outside to a job that asks for them, for the routers of `channels`."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any


def serve(known: dict[str, int], folder: Path) -> tuple[dict[str, str], list[Any]]:
    """Serve the answers in every way a job could ask for them; return the places."""
    content = json.dumps(known).encode()
    tcp = socket.create_server(("127.0.0.1", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(folder / "socket"))
    unix.listen()
    abstract = socket.socket(socket.AF_UNIX)
    name = f"routebench-{os.urandom(8).hex()}"
    abstract.bind(f"\0{name}")
    abstract.listen()
    os.mkfifo(folder / "pipe")

    def stream(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                with server.accept()[0] as peer:
                    peer.sendall(content)

    def datagrams() -> None:
        with contextlib.suppress(OSError):
            while True:
                _, peer = udp.recvfrom(16)
                udp.sendto(content, peer)

    pipe = os.open(folder / "pipe", os.O_RDWR)

    def fill() -> None:
        with contextlib.suppress(OSError):
            while True:
                os.write(pipe, content + b"\n")

    served = ((stream, (tcp,)), (stream, (unix,)), (stream, (abstract,)),
              (datagrams, ()), (fill, ()))  # fmt: skip
    for target, words in served:
        threading.Thread(target=target, args=words, daemon=True).start()
    places = {
        "ByTcp": str(tcp.getsockname()[1]),
        "ByTcpQuietly": str(tcp.getsockname()[1]),
        "ByUdp": str(udp.getsockname()[1]),
        "ByUnixSocket": str(folder / "socket"),
        "ByAbstractSocket": name,
        "ByPipe": str(folder / "pipe"),
    }
    return places, [tcp, udp, unix, abstract]
