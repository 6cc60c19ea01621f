"""The firewall's two layers, each by itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from routebench.errors import IsolationError
from routebench.isolation import firewall, landlock, namespaces, syscalls
from routebench.isolation.audit import AuditHook
from routebench.isolation.messages import Access, DescribeRequest, Start
from routebench.plugin.discovery import PluginInfo


def test_the_environment_is_scrubbed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "ROUTEBENCH_DATA", "PWD", "OLDPWD", "TMPDIR"):
        monkeypatch.setenv(name, "/planted")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    monkeypatch.delenv("LANG", raising=False)
    found = firewall.environment(tmp_path)
    assert "/planted" not in found.values()
    assert found["CUDA_VISIBLE_DEVICES"] == "3"
    assert found["PATH"] == os.environ["PATH"]
    assert "LANG" not in found
    assert {found[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {"1"}
    assert found["HOME"] == found["TMPDIR"] == str(tmp_path)
    assert found["PYTHONHASHSEED"] == "0"


def testeverything_but(tmp_path: Path) -> None:
    for name in ("a/secret", "a/open", "a/deep/secret", "a/deep/open", "b/open"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "secret")

    def rest(*excluded: str) -> set[str]:
        paths = [tmp_path / name for name in excluded]
        found = landlock.everything_but(tmp_path, paths)
        return {str(path.relative_to(tmp_path)) for path in found}

    assert rest() == {"."}
    assert rest(".") == set()
    assert rest("a/secret", "a/deep/secret") == {"a/open", "a/deep/open", "b"}
    assert rest("a") == {"b"}
    assert rest("a", "a/secret") == {"b"}
    assert rest("b/new/file") == {"a", "b/open"}, "also before the file is there"


class TestAuditHook:
    """Its decisions, asked for directly: an audit hook cannot be taken out again."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        for name in ("job/work", "data/all"):
            (tmp_path / name).mkdir(parents=True)
        for name in ("job/queries", "data/secret.csv", "data/open.csv", "data/all/secret"):
            (tmp_path / name).touch()
        (tmp_path / "job" / "link").symlink_to(tmp_path / "data" / "secret.csv")
        (tmp_path / "job" / "out").symlink_to(tmp_path / "data")
        return tmp_path

    @pytest.fixture
    def watch(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AuditHook:
        monkeypatch.chdir(folder / "job")
        protected = [folder / "data" / "secret.csv", folder / "data" / "all"]
        banned = frozenset({"some_suites", "other.table"})
        return AuditHook([folder / "job"], protected, banned, Access(), [])

    def ask(self, watch: AuditHook, event: str, *words: object) -> str:
        """Nothing, or the reason of the refusal, which is also on record."""
        before = len(watch.violations)
        try:
            watch(event, words)
        except IsolationError as error:
            said = [str(error)]
        else:
            said = []
        assert watch.violations[before:] == said
        return "".join(said)

    @pytest.mark.parametrize(
        ("path", "refused"),
        [
            ("data/secret.csv", True),
            ("data/open.csv", False),
            ("data/all", True),
            ("data/all/secret", True),
            ("data/all/deeper/not-there", True),
            ("data/../data/secret.csv", True),
            ("job/link", True),
            ("job/out/secret.csv", True),
            ("job/out/open.csv", False),
            ("job/queries", False),
            ("data", False),
        ],
    )
    def test_reading(self, watch: AuditHook, folder: Path, path: str, refused: bool) -> None:
        place = str(folder / path)
        relative = os.path.relpath(place)
        for name in (place, relative, place.encode(), Path(place)):
            said = self.ask(watch, "open", name, "r", os.O_RDONLY)
            assert bool(said) == refused, name
            assert not said or "run's own data" in said
        for name in (place, f"file:{place}?mode=ro"):
            assert bool(self.ask(watch, "sqlite3.connect", name)) == refused
        for event in ("os.listdir", "os.scandir"):
            assert bool(self.ask(watch, event, place)) == refused, "a name can tell a lot"
        assert bool(self.ask(watch, "open", place, None, os.O_RDONLY | os.O_CLOEXEC)) == refused

    def test_a_job_inside_a_protected_folder_reads_its_own(self, folder: Path) -> None:
        watch = AuditHook([folder / "job"], [folder], frozenset(), Access(), [])
        assert self.ask(watch, "open", str(folder / "job" / "queries"), "r", 0) == ""
        assert "run's own data" in self.ask(watch, "open", str(folder / "job2"), "r", 0)

    @pytest.mark.parametrize(
        ("path", "refused"),
        [
            ("job/deep/new", False),
            ("job", False),
            ("job2/new", True),
            ("data/open.csv", True),
            ("job/out/new", True),
            ("/dev/null", False),
        ],
    )
    def test_writing(self, watch: AuditHook, folder: Path, path: str, refused: bool) -> None:
        place = str(folder / path)
        for mode in ("w", "ab", "x", "r+"):
            assert bool(self.ask(watch, "open", place, mode, 0)) == refused, mode
        for flags in (os.O_WRONLY, os.O_RDWR, os.O_RDONLY | os.O_CREAT, os.O_WRONLY | os.O_APPEND):
            said = self.ask(watch, "open", place, None, flags)
            assert bool(said) == refused
            assert not said or "write outside its work folder" in said
        for event in ("os.remove", "os.mkdir", "os.rmdir", "os.truncate"):
            assert bool(self.ask(watch, event, place, -1)) == refused
        inside = str(folder / "job" / "new")
        for event in ("os.rename", "os.link"):
            assert bool(self.ask(watch, event, place, inside)) == refused
            assert bool(self.ask(watch, event, inside, place)) == refused
        assert bool(self.ask(watch, "os.symlink", "/anywhere", place)) == refused

    def test_open_descriptors_are_not_paths(self, watch: AuditHook) -> None:
        assert self.ask(watch, "open", 1, "w", os.O_WRONLY) == ""
        assert self.ask(watch, "os.listdir", None) == ""  # the working folder

    @pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
    def test_other_processes(self, watch: AuditHook) -> None:
        other = os.getppid()
        for path in (f"/proc/{other}/environ", f"/proc/{other}/fd", f"/proc/{other}"):
            assert "looked into another process" in self.ask(watch, "open", path, "rb", 0), path
        for path in ("/proc/self/status", f"/proc/{os.getpid()}/status", "/proc/meminfo",
                     "/proc/thread-self/stat", "/proc/sys/kernel/osrelease"):  # fmt: skip
            assert self.ask(watch, "open", path, "r", 0) == "", path

    @pytest.mark.parametrize(
        ("module", "refused"),
        [
            ("some_suites", True),
            ("some_suites.sub.deep", True),
            ("some_suites2", False),
            ("other", False),
            ("other.table", True),
            ("other.tables", False),
            ("numpy", False),
        ],
    )
    def test_imports(self, watch: AuditHook, module: str, refused: bool) -> None:
        said = self.ask(watch, "import", module, None, None, None, None)
        assert bool(said) == refused
        assert not said or f"imported {module}" in said

    def test_starting_processes(self, folder: Path, watch: AuditHook) -> None:
        assert "started a process: curl" in self.ask(watch, "subprocess.Popen", "/usr/bin/curl", [])
        assert "started a process: sh" in self.ask(watch, "os.posix_spawn", b"sh", [], {})
        assert "starts_processes = True" in self.ask(watch, "os.exec", "python", [], None)
        assert "a fork" in self.ask(watch, "os.fork")
        assert "started a shell" in self.ask(watch, "os.system", "lscpu; cat data")
        for program in ("lscpu", "/usr/bin/lscpu", b"uname"):
            assert self.ask(watch, "subprocess.Popen", program, []) == ""
        declared = AuditHook(
            [folder / "job"], [], frozenset(), Access(processes=True, network=True), []
        )
        assert self.ask(declared, "subprocess.Popen", "/usr/bin/curl", []) == ""
        assert self.ask(declared, "os.fork") == ""

    def test_a_command_that_ends_in_a_harmless_name(self, watch: AuditHook) -> None:
        assert self.ask(watch, "os.system", "cat data/secret.csv; /usr/bin/lscpu")

    def test_network(self, watch: AuditHook, folder: Path) -> None:
        declared = AuditHook([folder / "job"], [], frozenset(), Access(network=True), [])
        for event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            assert "needs_network = True" in self.ask(watch, event, None, ("127.0.0.1", 1))
            assert self.ask(declared, event, None, ("127.0.0.1", 1)) == ""

    def test_unknown_events_pass(self, watch: AuditHook) -> None:
        assert self.ask(watch, "socket.gethostname") == ""

    def test_protected_paths_cannot_be_read_off_it(self, watch: AuditHook, folder: Path) -> None:
        assert str(folder / "data" / "secret.csv") not in repr(vars(watch))


TRIES = """
import os, sys
from pathlib import Path
from routebench.isolation import landlock, readable

folder, secret, sibling, outside, parent = sys.argv[1:]
import pyarrow.parquet as pq
paths = [Path(secret).parent, *readable.system_paths(False), *readable.code_paths([])[0]]
assert landlock.restrict([Path(folder)], paths, [Path(secret)], False, False)

def refused(action):
    try:
        action()
    except PermissionError:
        return True
    return False

print("secret", refused(lambda: pq.read_table(secret)))
print("secret by open", refused(lambda: open(secret)))
print("secret by a child", os.system(f"cat {secret} >{folder}/stolen 2>/dev/null") != 0)
print("sibling", refused(lambda: pq.read_table(sibling)))
print("beside", refused(lambda: open(folder + "/../beside")))
print("listed", refused(lambda: os.listdir(folder + "/..")))
print("outside", refused(lambda: open(outside, "w")))
print("outside made", refused(lambda: os.mkdir(outside + "-folder")))
print("moved", refused(lambda: os.rename(sibling, folder + "/moved")))
print("own", refused(lambda: Path(folder, "new").write_text("x")))
print("own removed", refused(lambda: Path(folder, "new").unlink()))
print("parent's memory", refused(lambda: open(f"/proc/{parent}/environ", "rb").read()))
print("signal", refused(lambda: os.kill(int(parent), 0)))
print("own signal", refused(lambda: os.kill(os.getpid(), 0)))
"""


@pytest.mark.skipif(landlock.landlock_abi() < 1, reason="this kernel has no Landlock")
def test_what_the_kernel_refuses(tmp_path: Path) -> None:
    data, job = tmp_path / "data", tmp_path / "job"
    data.mkdir()
    job.mkdir()
    (tmp_path / "beside").touch()
    secret, sibling = data / "secret.parquet", data / "sibling.parquet"
    for path in (secret, sibling):
        pq.write_table(pa.table({"x": [1]}), path)
    words = [job, secret, sibling, tmp_path / "outside", os.getpid()]
    done = subprocess.run(
        [sys.executable, "-c", TRIES, *map(str, words)], capture_output=True, text=True, timeout=60
    )
    found = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    signals = landlock.landlock_abi() >= 6
    assert found == {
        "secret": "True",
        "secret by open": "True",
        "secret by a child": "True",
        "sibling": "False",
        "beside": "True",
        "listed": "True",
        "outside": "True",
        "outside made": "True",
        "moved": "True",
        "own": "False",
        "own removed": "False",
        "parent's memory": "True",
        "signal": str(signals),
        "own signal": "False",
    }, done.stderr
    assert not (tmp_path / "outside").exists()
    assert pq.read_table(sibling).num_rows == 1


def test_no_place_for_downloads_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file" / "below"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setattr(landlock, "restrict", lambda *_: False)
    monkeypatch.setattr(sys, "addaudithook", lambda _: None)
    monkeypatch.setattr(namespaces, "enter", lambda *_: False)
    monkeypatch.setattr(syscalls, "restrict", lambda *_: False)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    order = DescribeRequest("x", PluginInfo("router", "x", "x:X", None, None), {}, "embedded")
    start = Start(order, str(tmp_path), [], Access(downloads=True))
    assert firewall.enter(start, [], lambda *_: None)[0] == "audit"
