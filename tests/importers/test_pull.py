"""Pulling public data from a server that behaves like the hub, and from one that does not."""

from __future__ import annotations

import fcntl
import hashlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
import tomli_w
from hubs import REPO, Hub, serve
from libraries import needed
from published import frame, pickled

from routebench.errors import DataError, OptionError
from routebench.importers.download import PIECES, Content
from routebench.importers.pull import LOCK, DataSource, Pulled, find_source, pull, read_sources
from routebench.plugin import discovery

needed("huggingface_hub")

BIG = bytes(range(256)) * 4000  # one megabyte
CSV = b"user_id,performance_preference,task_id,query,llm,effect,cost\n1,0.5,t,q,a,1,0\n"
PANDAS = {
    "sample_id": ["a", "b"],
    "prompt": ["['p']", "['q']"],
    "eval_name": ["t", "t"],
    "x/y": [1.0, 0.5],
    "z": [0.0, 1.0],
    "x/y|model_response": ["A", "B"],
    "z|model_response": ["C", "D"],
    "x/y|total_cost": [0.1, 0.2],
    "z|total_cost": [0.01, 0.02],
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # Its client waits a second before it tries again.
    monkeypatch.setattr("huggingface_hub.file_download.time", SimpleNamespace(sleep=lambda _: None))
    # It hands over ten megabytes at a time, and these files are small.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    # Other tests of this process may have had it imported without a network.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with serve() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def content(raw: bytes) -> Content:
    return Content("sha256", hashlib.sha256(raw).hexdigest(), len(raw))


def source(revision: str | None = None, **changes: Any) -> DataSource:
    """A source on the hub: pinned with `files`, else by patterns."""
    facts = {"title": "t", "suite": "table", "licence": "l", "citation": "c", "repo": REPO}
    return DataSource("some", **(facts | {"revision": revision} | changes))  # type: ignore[arg-type]


def quietly(wanted: DataSource, folder: Path, **options: Any) -> Pulled:
    return pull(wanted, folder, say=lambda _: None, **options)


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_pinned_data(hub: Hub, tmp_path: Path) -> None:
    revision = hub.commit({"big.bin": BIG, "other.txt": b"not asked for"})
    wanted = source(revision, files={"big.bin": content(BIG)})
    folder = tmp_path / "pulled" / "some"
    done = quietly(wanted, folder)
    assert done.fetched == ("big.bin",)
    assert done.files[0].read_bytes() == BIG
    assert names(folder) == ["big.bin", LOCK]
    lock = tomllib.loads((folder / LOCK).read_text())
    assert lock["revision"] == revision
    assert lock["files"]["big.bin"]["sha256"] == hashlib.sha256(BIG).hexdigest()

    hub.requests.clear()
    assert quietly(wanted, folder).fetched == ()
    assert hub.requests == []  # all is there: no network is needed


def test_pinned_at_a_revision_that_the_head_has_left(hub: Hub, tmp_path: Path) -> None:
    revision = hub.commit({"big.bin": BIG})
    hub.commit({"big.bin": b"another"})
    wanted = source(revision, files={"big.bin": content(BIG)})
    assert quietly(wanted, tmp_path / "d").files[0].read_bytes() == BIG


def test_a_connection_cut_halfway_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub.commit({"big.bin": BIG}), files={"big.bin": content(BIG)})
    folder = tmp_path / "d"
    hub.cut = len(BIG) // 2
    with pytest.raises(DataError, match=r"^big\.bin: cannot be had: ") as caught:
        quietly(wanted, folder)
    assert "\n" not in caught.value.message
    assert "run the same command again" in caught.value.hint
    (part,) = (folder / PIECES).iterdir()
    assert part.stat().st_size == len(BIG) // 2
    assert not (folder / "big.bin").exists()
    assert not (folder / LOCK).exists()

    hub.down, before = False, hub.sent
    hub.downloads()
    done = quietly(wanted, folder)
    assert done.files[0].read_bytes() == BIG
    assert [r for _, r in hub.downloads()] == [f"bytes={len(BIG) // 2}-"]
    assert hub.sent - before == len(BIG) - len(BIG) // 2
    assert names(folder) == ["big.bin", LOCK]


def test_a_piece_that_is_whole_already(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub.commit({"big.bin": BIG}), files={"big.bin": content(BIG)})
    (tmp_path / "d" / PIECES).mkdir(parents=True)
    (tmp_path / "d" / PIECES / f"{hashlib.sha256(BIG).hexdigest()[:24]}.part").write_bytes(BIG)
    quietly(wanted, tmp_path / "d")
    assert hub.sent == 0
    assert names(tmp_path / "d") == ["big.bin", LOCK]


def test_a_wrong_checksum_is_refused_before_the_download(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub.commit({"big.bin": b"x" * len(BIG)}), files={"big.bin": content(BIG)})
    with pytest.raises(DataError, match=r"big\.bin: refused: the hub states the sha256 [0-9a-f]+"):
        quietly(wanted, tmp_path / "d")
    assert hub.sent == 0
    assert not (tmp_path / "d").exists()


def test_a_wrong_content_is_refused_after_it(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub.commit({"big.bin": b"x" * len(BIG)}), files={"big.bin": content(BIG)})
    hub.stated = hashlib.sha256(BIG).hexdigest()  # it lies
    with pytest.raises(DataError, match=r"big\.bin: refused: its sha256 is [0-9a-f]+, not"):
        quietly(wanted, tmp_path / "d")
    assert not (tmp_path / "d").exists()  # nothing is left behind


def test_another_revision_than_was_asked_for(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub.commit({"big.bin": BIG}), files={"big.bin": content(BIG)})
    hub.answers_as = "f" * 40
    with pytest.raises(DataError, match=r"asked for revision \w+, the hub answers with ffff"):
        quietly(wanted, tmp_path / "d")


def test_a_file_that_was_changed_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub.commit({"big.bin": BIG}), files={"big.bin": content(BIG)})
    folder, said = tmp_path / "d", list[str]()
    quietly(wanted, folder)
    (folder / "big.bin").write_bytes(BIG[:-1] + b"!")
    assert pull(wanted, folder, say=said.append).fetched == ("big.bin",)
    assert (folder / "big.bin").read_bytes() == BIG
    assert any("is not what it should be" in line for line in said)


# What nobody has pinned


def open_source() -> DataSource:
    return source(patterns=("*.csv", "*.json"), suite="personaroute")


def test_the_first_pull_locks_what_is_not_pinned(hub: Hub, tmp_path: Path) -> None:
    hub.plain = {"data/note.json"}
    files = {"data/users.csv": CSV, "data/note.json": b"{}", "README.md": b"x"}
    first, folder = hub.commit(files), tmp_path / "d"
    done = quietly(open_source(), folder)
    assert done.revision == first
    assert names(folder) == ["data/note.json", "data/users.csv", LOCK]
    assert done.commands == (f"routebench run --suite personaroute --data {folder}/data/users.csv",)

    second = hub.commit({"data/users.csv": CSV + b"2,0.5,t,q,a,1,0\n"})
    hub.requests.clear()
    assert quietly(open_source(), folder).revision == first
    assert hub.requests == []
    (folder / "data" / "users.csv").unlink()
    quietly(open_source(), folder)
    assert (folder / "data" / "users.csv").read_bytes() == CSV
    assert [p for p, _ in hub.downloads()] == [f"/datasets/{REPO}/resolve/{first}/data/users.csv"]

    said = list[str]()
    done = pull(open_source(), folder, update=True, say=said.append)
    assert done.revision == second
    assert said[0] == f"some: from revision {first} to {second}"
    assert (folder / "data" / "users.csv").read_bytes().endswith(b"2,0.5,t,q,a,1,0\n")


def test_a_locked_revision_with_other_content_is_refused(hub: Hub, tmp_path: Path) -> None:
    revision, folder = hub.commit({"users.csv": CSV}), tmp_path / "d"
    quietly(open_source(), folder)
    (folder / "users.csv").unlink()
    hub.commits[revision] = {"users.csv": CSV.replace(b"0.5", b"0.9")}
    lock = (folder / LOCK).read_text()
    with pytest.raises(DataError, match=r"users\.csv: refused"):
        quietly(open_source(), folder)
    assert names(folder) == [LOCK]
    assert (folder / LOCK).read_text() == lock


def test_a_small_file_is_held_to_its_blob_id(hub: Hub, tmp_path: Path) -> None:
    hub.plain = {"users.csv"}
    revision = hub.commit({"users.csv": CSV})
    before = dict(hub.commits[revision])
    state = pull.__globals__["_plan"](open_source(), None, False)
    assert state.files["users.csv"].algorithm == "git"
    hub.commits[revision] = {"users.csv": before["users.csv"][:-1] + b"\r"}
    with pytest.raises(DataError, match=r"users\.csv: refused: its git is \w+, not"):
        pull.__globals__["download"].fetch(
            f"{hub.url}/datasets/{REPO}/resolve/{revision}/users.csv",
            tmp_path / "d" / "users.csv",
            state.files["users.csv"],
            {},
        )


def test_nothing_of_the_kind(hub: Hub, tmp_path: Path) -> None:
    hub.commit({"README.md": b"x"})
    with pytest.raises(DataError, match=r"has no file like \*\.csv, \*\.json") as caught:
        quietly(open_source(), tmp_path / "d")
    assert caught.value.hint == "it has README.md"


@pytest.mark.parametrize("name", ["../users.csv", "/etc/users.csv", "a/../../users.csv"])
def test_names_that_lead_elsewhere(name: str, hub: Hub, tmp_path: Path) -> None:
    hub.commit({name: CSV})
    with pytest.raises(DataError, match="which is refused"):
        quietly(open_source(), tmp_path / "d")
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["../users.csv", "/etc/users.csv", "lock.toml"])
def test_a_lock_that_leads_elsewhere(name: str, hub: Hub, tmp_path: Path) -> None:
    """It may be somebody else's, and what is not as it says would be removed."""
    (tmp_path / "users.csv").write_text("mine")
    (folder := tmp_path / "d").mkdir()
    held = {"revision": "0" * 40, "files": {name: {"sha256": "0" * 64, "size": 3}}}
    (folder / LOCK).write_text(tomli_w.dumps(held))
    with pytest.raises(DataError, match="which is refused"):
        quietly(open_source(), folder)
    assert (tmp_path / "users.csv").read_text() == "mine"


def test_a_broken_lock(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text("revision = 3\n")
    with pytest.raises(DataError, match=r"lock\.toml: is no lock file"):
        quietly(open_source(), tmp_path)


# Errors


def test_offline(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    wanted = source("f" * 40, files={"big.bin": content(BIG)})
    for each in (wanted, open_source()):
        with pytest.raises(DataError, match=r"cannot be had: ") as caught:
            quietly(each, tmp_path / "d")
        assert "\n" not in caught.value.message + caught.value.hint
    assert not (tmp_path / "d").exists()


def test_a_place_that_cannot_be_used(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wanted = source(hub.commit({"big.bin": BIG}), files={"big.bin": content(BIG)})
    with pytest.raises(DataError, match=r"file/d: cannot be used"):
        quietly(wanted, tmp_path / "file" / "d")


def test_another_pull_of_the_same(hub: Hub, tmp_path: Path) -> None:
    wanted = source(hub.commit({"big.bin": BIG}), files={"big.bin": content(BIG)})
    pieces = tmp_path / "d" / PIECES
    pieces.mkdir(parents=True)
    with (pieces / f"{hashlib.sha256(BIG).hexdigest()[:24]}.part").open("ab") as held:
        held.write(BIG[:100])
        held.flush()
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process is pulling it"):
            quietly(wanted, tmp_path / "d")
    assert len(list(pieces.iterdir())) == 1
    quietly(wanted, tmp_path / "d")


def test_a_revision_that_is_gone(hub: Hub, tmp_path: Path) -> None:
    hub.commit({"big.bin": BIG})
    wanted = source("f" * 40, files={"big.bin": content(BIG)})
    with pytest.raises(DataError, match=r"some-data/big\.bin at ffff\w+: is not there \(HTTP 404"):
        quietly(wanted, tmp_path / "d")


def test_a_plain_address(hub: Hub, tmp_path: Path) -> None:
    revision = hub.commit({"q.csv": BIG})
    wanted = source(
        repo=None,
        suite="simpleqa",
        files={"q.csv": content(BIG)},
        urls={"q.csv": f"{hub.url}/datasets/{REPO}/resolve/{revision}/q.csv"},
    )
    hub.cut = 1000
    with pytest.raises(DataError, match=r"q\.csv: cannot be had"):
        quietly(wanted, tmp_path / "my data")
    hub.down = False
    hub.downloads()
    done = quietly(wanted, tmp_path / "my data")
    assert [r for _, r in hub.downloads()] == ["bytes=1000-"]
    assert done.revision is None
    path = tmp_path / "my data" / "q.csv"
    assert done.commands == (f"routebench run --suite simpleqa --data '{path}'",)


def test_the_token_goes_to_the_hub_only(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    revision = hub.commit({"q.csv": BIG})
    files = {"q.csv": content(BIG)}
    address = f"{hub.url}/datasets/{REPO}/resolve/{revision}/q.csv"
    quietly(source(repo=None, files=files, urls={"q.csv": address}), tmp_path / "a")
    assert set(hub.tokens) == {None}
    hub.tokens.clear()
    quietly(source(revision, files=files), tmp_path / "b")
    assert set(hub.tokens) == {"Bearer hf_planted"}
    assert not [p for p in tmp_path.rglob("*.toml") if "hf_planted" in p.read_text()]


def test_the_token_is_not_sent_on_to_another_server(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_planted")
    revision = hub.commit({"q.csv": BIG})
    with serve() as other:
        other.commit({"q.csv": BIG})
        hub.elsewhere = other.url
        done = quietly(source(revision, files={"q.csv": content(BIG)}), tmp_path / "d")
        assert done.files[0].read_bytes() == BIG
        assert set(hub.tokens) == {"Bearer hf_planted"}
        assert other.tokens == [None]


# Imports


def test_what_no_suite_reads_is_imported(hub: Hub, tmp_path: Path) -> None:
    raw = pickled(frame(PANDAS))
    wanted = source(
        hub.commit({"rb.pkl": raw}), files={"rb.pkl": content(raw)}, format="routerbench"
    )
    folder = tmp_path / "d"
    done = quietly(wanted, folder)
    out = folder / "outcomes.parquet"
    assert done.commands == (f"routebench run --suite table:{out}",)
    assert "response" not in pq.read_schema(out).names
    made = out.stat().st_mtime_ns
    quietly(wanted, folder)
    assert out.stat().st_mtime_ns == made  # not done again
    quietly(wanted, folder, answers=True)
    assert "response" in pq.read_schema(out).names
    out.unlink()
    assert quietly(wanted, folder).fetched == ()
    assert out.exists()


# The list


def test_the_list_of_sources(shared: Path) -> None:
    sources = read_sources()
    assert set(sources) == {
        "simpleqa",
        "personaroute",
        "routerbench",
        "routerbench-5shot",
        "llmrouterbench",
    }
    for name, each in sources.items():
        assert each.name == name
        assert each.licence
        assert each.citation
        assert bool(each.files) != bool(each.patterns)
        assert each.format in (None, *(info.name for info in discovery.installed("importer")))
        assert each.repo or (each.urls and set(each.urls) == set(each.files or ()))
        if each.repo and each.pinned:
            assert each.revision is not None
            assert len(each.revision) == 40
        assert all(len(held.digest) == 64 for held in (each.files or {}).values())
    published = shared / "simpleqa" / "simple_qa_test_set.csv"
    assert sources["simpleqa"].files is not None
    assert sources["simpleqa"].files["simple_qa_test_set.csv"].of(published)


def test_an_unknown_name() -> None:
    with pytest.raises(OptionError, match="no public data 'routerbensh' to pull") as caught:
        find_source("routerbensh")
    assert "routerbench" in caught.value.hint
