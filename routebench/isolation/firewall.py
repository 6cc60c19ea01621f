"""The firewall between a router and the answers: limits on what a job's process may reach.

On Linux the kernel enforces them, by as many of these layers as it has: namespaces show a job no
other process, network or shared memory, Landlock lets it read the system's, Python's and its own
files only and write to its own folder, and seccomp refuses system calls that reach further.
Everywhere, an audit hook records what Python code tries; one attempt fails the row even if the
router swallows the error. This stops mistakes and casual cheating, not hostile code: what one job
does can still be told from how long another takes.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from routebench.isolation import landlock, mounts, namespaces, readable, syscalls
from routebench.isolation.audit import AuditHook
from routebench.isolation.messages import Start

_KEPT_VARIABLES = (
    "PATH", "PYTHONPATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
    "SYSTEMROOT", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "HF_HUB_OFFLINE", "HF_HUB_CACHE",
    "SSL_CERT_FILE",
)  # fmt: skip
_FOR_DOWNLOADS = (
    "HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
WORK = "work"
"""The folder in a job's own that it starts in, and that is its home."""
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def environment(work: Path, downloads: bool = False) -> dict[str, str]:
    """Return a job's variables: what the interpreter and CUDA need, one thread, own folders.

    A process that may fetch models gets the token and the proxies for it; no other sees a key.
    """
    names = _KEPT_VARIABLES + (_FOR_DOWNLOADS if downloads else ())
    kept = {name: os.environ[name] for name in names if name in os.environ}
    if not downloads:
        kept["HF_HUB_OFFLINE"] = "1"
    return kept | {
        **dict.fromkeys(_THREADS, "1"),
        "HOME": str(work),
        "TMPDIR": str(work),
        "MPLCONFIGDIR": str(work),
        "NUMBA_CACHE_DIR": str(work),
        "HF_HOME": str(model_cache()),
        "HF_DATASETS_CACHE": str(work / "datasets"),
        "JOBLIB_MULTIPROCESSING": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }


def model_cache() -> Path:
    """Return the folder in which Hugging Face's libraries keep downloads."""
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").absolute()


def enter(start: Start, paths: Iterable[Path], on_end: namespaces.OnEnd) -> tuple[str, list[str]]:
    """Restrict this process; call once, with one thread, before any plugin code is imported.

    `paths` are those that the request names; `on_end` is called with what the job used, by the
    process that waits for it, where there is one. Returns the level reached, such as `landlock,
    namespaces, seccomp` or `audit`, and the list that violations are appended to from now on.
    """
    access = start.access
    protected = [Path(path) for path in start.protected]
    resolved = [path.resolve() for path in protected]
    writable = [Path(start.folder).resolve()]
    if access.kept:
        writable.append(Path(access.kept).resolve())
    if access.downloads:
        for place in {model_cache(), Path(os.environ.get("HF_HUB_CACHE") or model_cache())}:
            # Where there can be none, nothing is fetched; most encoders fetch nothing anyway.
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                writable.append(place.resolve())
    given = [Path(access.given).resolve()] if access.given else []
    network = access.network or access.downloads
    apart = namespaces.enter(network, on_end)
    code, finder = readable.code_paths(start.roots)
    named = list(paths)
    for path in named:
        if path.suffix == ".py":
            found = readable.beside(path)
            code += found
            finder.add(found)
    sys.meta_path.append(finder)
    read = [*readable.system_paths(apart), *code, *named, model_cache()]
    secret = [*resolved, *readable.forbidden(named, resolved)]
    taken = set(os.listdir(mounts.TMP)) if mounts.TMP.is_dir() else set()
    own_view = apart and mounts.own_view(writable, given, read, secret)
    if own_view:
        os.chdir(writable[0] / WORK)  # the same folder, in the new view
    if apart:
        mounts.drop_capabilities()
    places = [*writable, mounts.TMP] if own_view else writable
    confined = landlock.restrict([*places, *given], read, secret, access.processes, network)
    violations: list[str] = []
    watch = AuditHook(writable, protected, frozenset(access.banned), access, violations, given)
    if own_view:
        watch.own(mounts.TMP, taken)
    sys.addaudithook(watch)
    filtered = syscalls.restrict(
        network or access.accelerator,
        access.processes or apart,
        access.processes or access.downloads,
        own_view,  # where everything else is read-only
    )
    layers = {"landlock": confined, "namespaces": apart, "seccomp": filtered}
    return ", ".join(name for name, there in layers.items() if there) or "audit", violations
