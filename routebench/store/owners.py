"""Processes that make the calls in flight, and whether they are still alive."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sqlite3
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from routebench.files import sha256

LEASE = 120.0
"""Seconds without a beat after which a process elsewhere counts as dead."""


_BEAT = 20.0  # seconds between two renewals of a lease, at most


class Owner:
    """The owner of claimed calls: a row in a store, made with its first claim; in transactions."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._beaten = 0.0
        self.id: int | None = None

    def present(self, now: float) -> int:
        """Return the row's id; make a new row where another process deleted it as dead."""
        if self.id is not None and self.renew(now, soon=False):
            return self.id
        # Random, so that no id ever belongs to two owners, even after rollbacks and deletions.
        self.id, self._beaten = random.SystemRandom().getrandbits(62), now
        self._database.execute(
            "INSERT INTO owners (id, host, pid, born, beat) VALUES (?, ?, ?, ?, ?)",
            (self.id, this_host(), os.getpid(), born(os.getpid()), now),
        )
        return self.id

    def renew(self, now: float, *, soon: bool = True) -> bool:
        """Renew the lease, with `soon` only if it is old; return False where it is gone."""
        if self.id is None or (soon and now - self._beaten < _BEAT):
            return self.id is not None
        done = self._database.execute("UPDATE owners SET beat = ? WHERE id = ?", (now, self.id))
        self._beaten = now
        return bool(done.rowcount)

    def give_back(self, keys: Iterable[str] | None, sent: bool) -> int:
        """Release this owner's calls, all or those named, as pending; return their number."""
        if self.id is None or keys is None:
            return self._give_back(self.id, sent)
        return self._database.executemany(
            """UPDATE calls SET state = 'pending', owner = NULL, interrupted = interrupted + ?
            WHERE owner = ? AND key = ?""",
            [(sent, self.id, key) for key in keys],
        ).rowcount

    def leave(self) -> None:
        """Delete the owner: its calls in flight count as interrupted."""
        self._give_back(self.id, sent=True)
        self._database.execute("DELETE FROM owners WHERE id = ?", (self.id,))
        self.id = None

    def recover(self, now: float) -> int:
        """Recover the calls of dead owners as pending; return their number."""
        recovered = 0
        known = self._database.execute("SELECT id, host, pid, born, beat FROM owners")
        for row, host, pid, start, beat in known.fetchall():
            if row != self.id and not is_alive(host, pid, start, beat, now):
                recovered += self._give_back(row, sent=True)
                self._database.execute("DELETE FROM owners WHERE id = ?", (row,))
        return recovered

    def _give_back(self, owner: int | None, sent: bool) -> int:
        return self._database.execute(
            """UPDATE calls SET state = 'pending', owner = NULL, interrupted = interrupted + ?
            WHERE owner = ?""",
            (sent, owner),
        ).rowcount


@cache
def this_host() -> str:
    """Return a hash of machine, boot and process namespace: within it a pid means one process."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))
    return sha256("\n".join(parts).encode())[:16]


def born(pid: int) -> str:
    """Return when a process started, for ids are given again; empty where it has ended.

    `?` where the system does not say (outside Linux) and the process is there.
    """
    if not Path("/proc/self/stat").exists():
        return "?" if _exists(pid) else ""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return ""
    state, *rest = stat.rpartition(")")[2].split()  # the name before may hold blanks
    return "" if state in "ZX" else rest[18]  # a zombie makes no calls


def is_alive(host: str, pid: int, start: str, beat: float, now: float) -> bool:
    """Return whether a process may still be making its calls.

    One of this host is alive as long as it runs, however slowly; of one elsewhere nothing is
    known but its last beat.
    """
    renewed = now - beat < LEASE
    if host != this_host():
        return renewed
    started = born(pid)
    return started == start and (started != "?" or renewed)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
