"""`routebench push` and `pull`: checkpoints on a stand-in for the hub."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import model_hubs
import numpy as np
import pytest
from conftest import planted
from model_hubs import ModelHub
from runs import SMALL, finish, put

from routebench.board.checkpoint import description
from routebench.board.checkpoint.files import check_content, check_name
from routebench.board.trained import open_router
from routebench.deploy.export import export
from routebench.errors import DataError

constants = pytest.importorskip("huggingface_hub.constants")
# How the client itself calls httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
Main = Callable[..., tuple[int, str, str]]
REPO = "someone/a-router"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelHub]:
    with model_hubs.serve() as served:
        # The client reads its environment when it is imported.
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        monkeypatch.setattr(
            constants,
            "HUGGINGFACE_CO_URL_TEMPLATE",
            served.url + "/{repo_id}/resolve/{revision}/{filename}",
        )
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", "hf_planted")
        yield served


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pushed")
    run = finish(
        home / "run", suite=put(home, planted(90)), router=("linear",), perturb=0, set=SMALL
    )
    export(run, "linear", home / "checkpoint")
    return home / "checkpoint"


def pushed(main: Main, checkpoint: Path) -> None:
    code, out, err = main("push", checkpoint, REPO)
    assert code == 0, err
    assert f"/{REPO}/commit/" in out


def test_what_is_pulled_is_what_was_pushed(
    main: Main, hub: ModelHub, checkpoint: Path, tmp_path: Path
) -> None:
    pushed(main, checkpoint)
    sent = {name: content for name, content in hub.repos[REPO].items() if name[0] != "."}
    here = {
        path.relative_to(checkpoint).as_posix(): path.read_bytes()
        for path in checkpoint.rglob("*")
        if path.is_file()
    }
    assert sent == here
    assert any("lfs" in request for request in hub.requests)
    code, out, err = main("pull", REPO, tmp_path / "pulled")
    assert code == 0, err
    assert out == f"linear at most-accurate, trained on table: {tmp_path / 'pulled'}\n"
    assert {
        path.relative_to(tmp_path / "pulled").as_posix(): path.read_bytes()
        for path in (tmp_path / "pulled").rglob("*")
        if path.is_file()
    } == here
    texts = [f"poem verse {i}" for i in range(9)]
    one, other = (open_router(place).route(texts) for place in (checkpoint, tmp_path / "pulled"))
    assert np.array_equal(one.quality, other.quality)
    assert hub.tokens <= {None, "Bearer hf_planted"}
    code, _, err = main("pull", REPO, tmp_path / "pulled")
    assert (code, "is there already" in err) == (2, True)


def restate(hub: ModelHub, name: str, content: bytes) -> None:
    """Add a file to the repository and to its description."""
    files = hub.repos[REPO]
    known = json.loads(files[description.FILE])
    import hashlib

    digest = hashlib.sha256(content).hexdigest()
    known["files"][name] = {"sha256": digest, "bytes": len(content)}
    files[name], files[description.FILE] = content, json.dumps(known).encode()


Change = Callable[[ModelHub], Any]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda hub: restate(hub, "state/model.pkl", b"x"), "state/model.pkl is refused"),
        (lambda hub: restate(hub, "state/pytorch_model.bin", b"x"), "pytorch_model.bin is refused"),
        (lambda hub: restate(hub, "state/router.py", b"x"), "state/router.py is refused"),
        (lambda hub: restate(hub, "state/x.json", pickle.dumps({})), "it is a pickle"),
        (lambda hub: restate(hub, "../up.json", b"x"), "'../up.json' is no name"),
        (lambda hub: hub.repos[REPO].update({"/etc/x.json": b"x"}), "'/etc/x.json' is no name"),
        (lambda hub: hub.repos[REPO].update({"extra.json": b"x"}), "extra.json is no file of"),
        (lambda hub: hub.repos[REPO].update({"points.json": b"{}"}), "points.json has 2 bytes"),
        (lambda hub: hub.repos[REPO].pop("points.json"), "points.json is not there"),
        (lambda hub: hub.repos[REPO].pop("checkpoint.json"), "checkpoint.json is not there"),
        (lambda hub: hub.sizes.update({"README.md": 1 << 40}), "README.md has 1,099,511,627,776"),
        (lambda hub: hub.sizes.update({"README.md": 3}), "README.md: has another size"),
        (lambda hub: hub.repos.clear(), "pull someone/a-router: "),
        (lambda hub: setattr(hub, "refuse", 403), "pull someone/a-router: "),
    ],
)
def test_what_is_not_kept(
    main: Main, hub: ModelHub, checkpoint: Path, tmp_path: Path, change: Change, said: str
) -> None:
    pushed(main, checkpoint)
    change(hub)
    code, out, err = main("pull", REPO, tmp_path / "pulled")
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) <= 2
    assert "hf_planted" not in err
    assert not (tmp_path / "pulled").exists()


def test_changed_content_is_not_kept(
    main: Main, hub: ModelHub, checkpoint: Path, tmp_path: Path
) -> None:
    pushed(main, checkpoint)
    files = hub.repos[REPO]
    files["points.json"] = files["points.json"].replace(b"most", b"west")
    code, _, err = main("pull", REPO, tmp_path / "pulled")
    assert (code, "is not the file that checkpoint.json states" in err) == (2, True)
    code, _, err = main("pull", REPO, tmp_path / "pulled", "--max-size", 100)
    assert (code, "--max-size allows 100" in err) == (2, True)
    assert not (tmp_path / "pulled").exists()


@pytest.mark.parametrize("verb", ["push", "pull"])
def test_a_hub_that_is_not_there_is_said_once(
    main: Main, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    words = (checkpoint, REPO) if verb == "push" else (REPO, tmp_path / "pulled")
    code, out, err = main(verb, *words)
    assert (code, out) == (2, "")
    assert err.count("refused") == 1
    assert "hint: is http://127.0.0.1:9 to be reached? HF_ENDPOINT names another hub" in err


def test_what_is_not_pushed(main: Main, hub: ModelHub, checkpoint: Path, tmp_path: Path) -> None:
    code, _, err = main("push", tmp_path, REPO)
    assert (code, "name a checkpoint folder" in err) == (2, True)
    for name in ("no/such/name", "someone", "/name", "someone/"):
        code, _, err = main("push", checkpoint, name)
        assert (code, f"{name}: is no OWNER/NAME" in err) == (2, True)
    code, _, err = main("pull", "someone", tmp_path / "pulled")
    assert (code, "someone: is no OWNER/NAME" in err) == (2, True)
    hub.refuse = 403
    code, _, err = main("push", checkpoint, REPO)
    assert (code, "HF_TOKEN has to be one that may do this" in err) == (2, True)
    assert "hf_planted" not in err


@pytest.mark.parametrize("name", ["a/../b", "/a", "a//b", "a b", ".hidden", "a/b/c/d/e/f/g/h/i"])
def test_names_that_lead_elsewhere(name: str) -> None:
    with pytest.raises(DataError, match="is no name of a checkpoint's file"):
        check_name("here", name)


def test_a_pickle_by_any_name(tmp_path: Path) -> None:
    import zipfile

    for protocol in (2, 3, 4, 5):
        (tmp_path / "x.safetensors").write_bytes(pickle.dumps([1], protocol))
        with pytest.raises(DataError, match="it is a pickle"):
            check_content(tmp_path / "x.safetensors")
    with zipfile.ZipFile(tmp_path / "x.json", "w") as archive:
        archive.writestr("data.pkl", b"x")
    with pytest.raises(DataError, match="it is a pickle or an archive"):
        check_content(tmp_path / "x.json")
    # A header of 640 bytes begins as a pickle of protocol 2 does.
    (tmp_path / "fine.safetensors").write_bytes((640).to_bytes(8, "little") + b"{" + b" " * 639)
    check_content(tmp_path / "fine.safetensors")


def test_a_planted_file_of_the_state_is_not_loaded(checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(checkpoint, tmp_path / "copy"))
    (folder / "state" / "pytorch_model.bin").write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match="is no file that checkpoint"):
        open_router(folder)
