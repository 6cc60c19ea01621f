"""`routebench data`, as it is typed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hubs import REPO, serve
from published import frame, pickled

from routebench.importers import pull as pulling

Main = Callable[..., tuple[int, str, str]]
COLOURS = ["red", "green", "blue", "grey"]


@pytest.fixture
def responses(tmp_path: Path) -> Path:
    """RouteLLM's form: b knows what is red or blue, a the rest; some calls failed."""
    rows = ["prompt,a,b"]
    for i in range(200):
        colour = COLOURS[i % 4]
        knows = i % 2 == 0
        rows.append(f"What number {i * 7919 % 1000} is {colour}?,{not knows},{knows}")
    rows.append("What is lost?,True,")
    path = tmp_path / "mmlu_colours.csv"
    path.write_text("\n".join(rows) + "\n")
    return path


def test_import_and_run(main: Main, responses: Path, tmp_path: Path) -> None:
    out = tmp_path / "outcomes.parquet"
    code, said, err = main("data", "import", "auto", responses, "--out", out)
    assert (code, err) == (0, "")
    assert said.startswith(
        f"{out}: 402 rows, 201 queries, 2 models: 1 failed, 401 ok\nnote: recognised"
    )
    code, said, err = main(
        "run",
        "--suite",
        f"table:{out}",
        "--router",
        "best-single,random",
        "--out",
        tmp_path / "run",
    )
    assert code == 0, err
    board = json.loads((tmp_path / "run" / "leaderboard.json").read_text())
    assert {row["router"]: row["state"] for row in board["rows"]} == {
        "best-single": "ok", "random": "ok"
    }  # fmt: skip


def test_info(main: Main, responses: Path, tmp_path: Path) -> None:
    out = tmp_path / "outcomes.parquet"
    main("data", "import", "routellm", responses, "--out", out)
    code, said, _ = main("data", "info", out)
    assert code == 0
    assert "rows          402 (201 queries × 2 models)" in said
    assert "states        failed 1, ok 401" in said
    assert "tasks         mmlu 201" in said
    assert "not recorded  input_tokens, output_tokens, cost_usd" in said
    assert "duplicates    0 rows" in said
    code, said, _ = main("data", "info", out, "--json")
    facts = json.loads(said)
    assert facts["models"]["b"] == {
        "rows": 201, "states": {"failed": 1, "ok": 200}, "score": 0.5, "usd": None
    }  # fmt: skip
    assert facts["missing"] == 0


OUTCOMES = """query_id,query,model,score,grade,response,cost_usd,task,odd
q1,Who?,a,1,CORRECT,x,0.5,t,1
q1,Who?,a,1,CORRECT,x,0.5,t,1
q1,Who?,b,,,y,,t,1
q2,When?,a,,,,,t,1
"""


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_info_of_a_table_that_a_run_would_refuse(kind: str, main: Main, tmp_path: Path) -> None:
    path = tmp_path / f"outcomes.{kind}"
    (tmp_path / "outcomes.csv").write_text(OUTCOMES)
    from pyarrow import csv

    table = csv.read_csv(tmp_path / "outcomes.csv", convert_options=csv.ConvertOptions(
        strings_can_be_null=True))  # fmt: skip
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    elif kind == "parquet":
        pq.write_table(table, path)
    code, said, err = main("data", "info", path, "--json")
    assert code == 0, err
    facts = json.loads(said)
    assert (facts["rows"], facts["queries"], facts["duplicates"], facts["missing"]) == (4, 2, 1, 1)
    assert facts["states"] == {"failed": 1, "ok": 2, "ungraded": 1}
    assert facts["grades"] == {"CORRECT": 2}
    assert facts["recorded"] == {"cost_usd": 2}
    assert facts["models"]["a"]["usd"] == 1.0
    assert facts["tasks"] == {"t": 2}
    assert facts["notes"] == ["columns not used: odd"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"a,b\n1,2\n", "x.csv: no outcomes file: there is no column query_id, model"),
        ("x.parquet", b"PAR1 and nothing", "x.parquet: cannot be read"),
        ("x.txt", b"hello", "x.txt: not a kind of file that can be read"),
        ("x.csv", b"", "x.csv: the file is empty"),
        ("x.jsonl", b"{", "x.jsonl: row 1: not JSON"),
        (
            "x.csv",
            b"query_id,model,score\nq,a,high\n",
            "x.csv: row 1 (line 2), column score: 'high' is not a number",
        ),
    ],
)
def test_info_of_something_else(
    name: str, content: bytes, message: str, main: Main, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    code, _, err = main("data", "info", tmp_path / name)
    assert code == 2
    assert err.startswith(f"error: {message}")


def test_escapes_are_shown_harmlessly(main: Main, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("query_id,query,model,score\nq,Who?,\x1b[2Jevil[red],1\nq,Who?,b,0\n")
    _, said, _ = main("data", "info", path)
    assert "\x1b" not in said
    assert "␛[2Jevil[red]" in said


def test_a_store(main: Main, tmp_path: Path) -> None:
    store = pytest.importorskip("routebench.store.store")
    path = tmp_path / "answers.sqlite"
    with store.AnswerStore(path):
        pass
    code, said, err = main("data", "info", path)
    assert code == 0, err
    assert said.startswith(f"store         {path}")
    code, said, err = main("data", "info", path, "--json")
    assert json.loads(said)["usd"] == 0


def test_wrong_words(main: Main, tmp_path: Path, responses: Path) -> None:
    code, _, err = main("data", "info", tmp_path / "gone.parquet")
    assert (code, err) == (2, f"error: {tmp_path / 'gone.parquet'}: there is no such file\n")
    code, _, err = main("data", "import", "routelm", responses)
    assert code == 2
    assert "did you mean routellm" in err
    for form in ("routellm", "auto"):
        code, _, err = main("data", "import", form, responses, "--set", "routelm.x=1")
        assert (code, err) == (
            2, "error: --set routelm: is not used here\nhint: did you mean routellm?\n"
        )  # fmt: skip
    code, _, err = main("data", "pull", "nothing")
    assert code == 2
    assert "error: there is no public data 'nothing' to pull" in err
    assert main("data", "export", tmp_path / "gone.sqlite", "--out", "x.parquet")[0] == 2
    assert not (tmp_path / "gone.sqlite").exists()
    assert main("data", "--help")[0] == 0


def test_pull_and_the_command_that_it_prints(
    main: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    n = 120
    columns = {
        "sample_id": [f"q{i}" for i in range(n)],
        "prompt": [f"['Number {i * 7919} of {COLOURS[i % 4]}']" for i in range(n)],
        "eval_name": ["t"] * n,
        "x/a": [float(i % 2) for i in range(n)],
        "b": [float(i % 3 == 0) for i in range(n)],
        "x/a|total_cost": [0.01] * n,
        "b|total_cost": [0.002] * n,
    }
    raw = pickled(frame(columns))
    monkeypatch.setenv("ROUTEBENCH_DATA", str(tmp_path / "my data"))
    monkeypatch.setattr(pulling, "SOURCES", tmp_path / "sources.toml")
    with serve() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        # Other tests of this process may have had it imported without a network.
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        revision = hub.commit({"rb.pkl": raw})
        digest = pulling.download.hashlib.sha256(raw).hexdigest()
        (tmp_path / "sources.toml").write_text(
            f'[routerbench]\ntitle = "Some"\nsuite = "table"\nformat = "routerbench"\n'
            f'repo = "{REPO}"\nrevision = "{revision}"\nlicence = "none"\ncitation = "Hu"\n'
            f'[[routerbench.files]]\nname = "rb.pkl"\nsha256 = "{digest}"\n'
        )
        code, said, err = main("data", "pull", "routerbench")
    assert code == 0, err
    lines = said.splitlines()
    assert lines[:3] == ["Some", "licence: none", "cite: Hu"]
    folder = tmp_path / "my data" / "pulled" / "routerbench"
    assert f"{folder}: revision {revision}, pinned by RouteBench; fetched: rb.pkl" in lines
    words = shlex.split(lines[-1])
    assert words[:2] == ["routebench", "run"]
    code, _, err = main(*words[1:], "--router", "best-single", "--out", tmp_path / "run")
    assert code == 0, err
    # With the server gone all is there still.
    code, said, err = main("data", "pull", "routerbench")
    assert code == 0, err
    assert "fetched: nothing new" in said
