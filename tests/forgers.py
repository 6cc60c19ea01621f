"""Routers that tell the run what is not so, over the channel that the harness answers on."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

import numpy as np
from pydantic import BaseModel

from routebench import hookimpl
from routebench.records import Decisions, Queries

PR_SET_NAME = 15


class Options(BaseModel):
    """None."""


def say(line: str) -> None:
    """Write to every pipe that this process has."""
    for number in os.listdir("/proc/self/fd"):
        try:
            if int(number) > 2 and "pipe" in os.readlink(f"/proc/self/fd/{number}"):
                os.write(int(number), line.encode())
        except OSError:
            continue


class Forger:
    """Guesses, and forges."""

    Options = Options

    def __init__(self, options: Options) -> None:
        pass

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        self.forge()
        return Decisions(np.zeros(len(queries), dtype=np.int64))

    def forge(self) -> None:
        raise NotImplementedError


class NegativeTime(Forger):
    def forge(self) -> None:
        say(
            '{"is": "Report", "reply": {"is": "RouteReply", "timing": {"route_seconds": -5}, '
            '"facts": {}, "encoded": false}}\n'
        )
        os._exit(0)


class EndlessLine(Forger):
    def forge(self) -> None:
        for _ in range(8):
            say("x" * (1 << 20))
        say("no end, so that the harness's own report is on this line")


class NoDecisions(Forger):
    def forge(self) -> None:
        say(
            '{"is": "Report", "reply": {"is": "RouteReply", "timing": {}, "facts": {}, '
            '"encoded": false}}\n'
        )
        os._exit(0)


class Sleeps(Forger):
    """Never ends, in a session and process group of its own, deaf to signals."""

    def forge(self) -> None:
        import signal

        try:
            os.setsid()
        except OSError:
            os.setpgid(0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(PR_SET_NAME, Path(__file__).stem.encode())  # as `ps` shows it
        time.sleep(600)
