"""The firewall between a router and the answers: limits on what a job's process may reach.

Two layers. On Linux, Landlock makes the kernel refuse protected files (however they are opened,
also by C++ code and child processes), writes outside the job's own folder, and signals to other
processes. Everywhere, an audit hook records what Python code tries; one attempt fails the row
even if the router swallows the error. This stops mistakes and casual cheating, not hostile code.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from routebench.isolation import landlock
from routebench.isolation.audit import AuditHook

_KEPT_VARIABLES = (
    "PATH", "PYTHONPATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "VIRTUAL_ENV",
    "SYSTEMROOT", "CUDA_VISIBLE_DEVICES", "CUDA_HOME", "HF_HUB_OFFLINE", "HF_HUB_CACHE",
    "SSL_CERT_FILE",
)  # fmt: skip
_FOR_DOWNLOADS = (
    "HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "no_proxy", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
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


def enter(
    folder: Path,
    protected: Sequence[Path],
    banned_modules: Iterable[str],
    processes: bool,
    downloads: bool = False,
    kept: Path | None = None,
    given: Path | None = None,
) -> tuple[str, list[str]]:
    """Restrict this process; call once, before any plugin code is imported.

    `folder`, and `kept` where there is one, is all the job may write to. What is `protected` it
    must not read, but for `given`, which lies there. `processes` says whether it may start
    programs, `downloads` whether it may write to the `model_cache`. Returns the level reached
    (`landlock` or `audit`) and the list that violations are appended to from now on.
    """
    folders = [folder.resolve(), *([kept.resolve()] if kept else [])]
    if downloads:
        for place in {model_cache(), Path(os.environ.get("HF_HUB_CACHE") or model_cache())}:
            # Where there can be none, nothing is fetched; most encoders fetch nothing anyway.
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                folders.append(place.resolve())
    resolved = [path.resolve() for path in protected]
    readable = [given.resolve()] if given else []
    confined = landlock.restrict(folders, resolved, processes, readable)
    level = "landlock" if confined else "audit"
    violations: list[str] = []
    watch = AuditHook(
        folders, protected, frozenset(banned_modules), processes, violations, readable
    )
    sys.addaudithook(watch)
    return level, violations
