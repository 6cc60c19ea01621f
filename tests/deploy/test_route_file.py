"""`routebench route --input`: JSON lines in, the same lines with decisions out."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import planted
from runs import SMALL, finish, price_list, put

from routebench.board.trained import open_router
from routebench.deploy import query_file, words
from routebench.deploy.export import export
from routebench.deploy.query_file import QueryFile
from routebench.deploy.route_file import batches

Main = Callable[..., tuple[int, str, str]]
ROUTER = f"{Path(__file__).parents[1] / 'policied.py'}:Policied"
TOPICS = ("algebra equation", "poem verse", "python function", "river capital")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("routed file")
    table = planted(160)
    table = table.append_column("input_tokens", [[10] * table.num_rows])
    table = table.append_column("output_tokens", [[100] * table.num_rows])
    return finish(
        home / "run",
        suite=put(home, table),
        prices=price_list(home),
        show=("task",),
        router=("knn", "task-prior", "best-single", ROUTER),
        perturb=0,
        set=SMALL,
        point=("savings=40%",),
    )


@pytest.fixture(scope="module")
def checkpoint(done: Path) -> Path:
    place = done.parent / "checkpoint"
    export(done, "knn", place)
    return place


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_queries_keep_what_they_carry(main: Main, checkpoint: Path, tmp_path: Path) -> None:
    texts = [f"{TOPICS[i % 4]} number {i}" for i in range(2500)]
    records = [{"id": i, "query": text, "user": 7, "x": {"y": [i]}} for i, text in enumerate(texts)]
    place, out = tmp_path / "queries.jsonl", tmp_path / "decisions.jsonl"
    place.write_text(lines(*records))
    code, printed, err = main("route", checkpoint, "--input", place, "--output", out)
    assert (code, printed) == (0, "")
    made = read(out)
    trained = open_router(checkpoint)
    decisions = trained.route(texts)
    models = [trained.models[choice] for choice in decisions.choice]
    assert [{**one, "decision": None} for one in made] == [
        {**record, "decision": None} for record in records
    ]
    assert [one["decision"]["model"] for one in made] == models
    first = made[0]["decision"]
    assert set(first) == {"model", "point", "quality", "confidence", "expected_usd"}
    assert first["quality"] == dict(zip("abcd", decisions.quality[0].tolist(), strict=True))
    assert first["expected_usd"] == trained.cost[models[0]]
    usd = sum(trained.cost[model] or 0 for model in models)
    assert err.startswith("2,500 queries: ")
    assert err.endswith(f"; ${usd:.4g}\n")


def test_one_query_is_no_queries() -> None:
    assert words.summary(1, {"a": 1}, 0.5) == "1 query: 1 a; $0.5"
    assert words.summary(2, {"a": 2}, None) == "2 queries: 2 a; cost unknown"


def test_chat_messages_are_joined_as_data_reading_joins_them(
    main: Main, checkpoint: Path, tmp_path: Path
) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "river capital 9"}]},
    ]
    place = tmp_path / "queries.jsonl.gz"
    joined = "Be brief.\n\nriver capital 9"
    place.write_bytes(
        gzip.compress(lines({"messages": chat}, {"prompt": joined}, {"query": joined}).encode())
    )
    code, out, _ = main("route", checkpoint, "--input", place)
    assert code == 0
    made = [json.loads(line) for line in out.splitlines()]
    assert made[0]["messages"] == chat
    assert made[0]["decision"] == made[1]["decision"] == made[2]["decision"]


def test_tasks_are_seen_where_the_run_showed_them(main: Main, done: Path, tmp_path: Path) -> None:
    place = tmp_path / "queries.jsonl"
    place.write_text(lines(*({"query": "what", "task": t} for t in [*TOPICS, None, "new"])))
    code, out, _ = main("route", done, "task-prior", "--input", place)
    assert code == 0
    made = [json.loads(line)["decision"]["model"] for line in out.splitlines()]
    assert made[:4] == list("abcd")
    assert made[4] == made[5], "of no task, and of a new one: the best over all"
    code, out, _ = main("route", done, "task-prior", "--task", TOPICS[3], "what")
    assert (code, out) == (0, "d  what\n")


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("{", "row 2: not JSON: "),
        ("[1]", "row 2 is no JSON object"),
        ("{}", "row 2: has no query: it is empty"),
        ('{"text": "x"}', "row 2: has no query: it has 'text'"),
        ('{"query": " "}', "row 2, query: is empty"),
        ('{"query": 5}', "row 2, query: 5 is no text"),
        ('{"messages": [{"content": [{"type": "image_url"}]}]}', "row 2, messages: "),
        ('{"query": "x", "user": [1]}', "row 2, user: [1] is no text"),
        ('{"query": "x", "task": true}', "row 2, task: True is no text"),
        ('{"query": "x", "preference": 2}', "row 2, preference: 2 is no weight"),
        ('{"query": "x", "a": NaN}', "row 2: not JSON: NaN is no number in JSON"),
        ('{"query": "x", "a": 1e999}', "row 2: not JSON: 1e999 is no number"),
        ("[" * 5000, "row 2: not JSON: "),
        ('{"query": "' + "x" * 5000 + '"}', "row 2: the line has more than 4,000 bytes"),
        (b'{"query": "\xff"}', "row 2: the text is not UTF-8"),
    ],
)
def test_a_broken_line(
    main: Main,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bad: str | bytes,
    said: str,
) -> None:
    if "4,000 bytes" in said:
        monkeypatch.setattr(query_file, "LONGEST", 4000)
    place, out = tmp_path / "queries.jsonl", tmp_path / "decisions.jsonl"
    broken = bad if isinstance(bad, bytes) else bad.encode()
    place.write_bytes(b'{"query": "x"}\n' + broken + b'\n\n{"query": "y"}')
    out.write_text("before")
    words = ("route", checkpoint, "--input", place, "--output", out)
    code, printed, err = main(*words)
    assert (code, printed) == (2, "")
    assert err.startswith(f"error: queries.jsonl: {said}")
    assert err.splitlines()[1].startswith("hint: ")
    assert out.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    code, _, err = main(*words, "--skip-bad")
    assert code == 0
    assert err.splitlines()[0].startswith(f"skipped: queries.jsonl: {said}")
    assert [one["query"] for one in read(out)] == ["x", "y"]


def test_lines_that_are_left_out_are_counted(main: Main, checkpoint: Path, tmp_path: Path) -> None:
    place = tmp_path / "queries.jsonl"
    place.write_text("{\n" * 9 + lines({"query": "x"}))
    code, _, err = main("route", checkpoint, "--input", place, "--skip-bad")
    assert code == 0
    assert err.splitlines()[3] == "skipped: 6 more lines"
    place.write_text("{\n")
    code, _, err = main("route", checkpoint, "--input", place, "--skip-bad")
    assert (code, "no query in it (1 lines are broken)" in err) == (2, True)


def test_an_interrupted_file_is_not_left(
    main: Main, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: QueryFile) -> Any:
        yield query_file.QueryRow(1, {"query": "x"}, "x", None, None, None)
        raise KeyboardInterrupt

    place, out = tmp_path / "queries.jsonl", tmp_path / "decisions.jsonl"
    place.write_text(lines({"query": "x"}))
    monkeypatch.setattr(QueryFile, "__iter__", stop)
    main("route", checkpoint, "--input", place, "--output", out)
    assert {path.name for path in tmp_path.iterdir()} == {"queries.jsonl", "here"}


def test_from_standard_input_to_standard_output(
    main: Main, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = b'\xef\xbb\xbf{"query": "half \\ud83d"}\n\n{"query": "caf\xc3\xa9"}\n'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    code, out, _ = main("route", checkpoint, "--input", "-")
    assert code == 0
    made = [json.loads(line) for line in out.splitlines()]
    assert [one["query"] for one in made] == ["half \ud83d", "café"]


def test_no_more_than_a_batch_is_held() -> None:
    seen: list[int] = []

    def rows() -> Any:
        for i in range(10):
            seen.append(i)
            yield query_file.QueryRow(i, {}, f"t{i % 3}", None, None, None)

    made = batches(rows(), 4)
    assert [row.row for row in next(made)] == [0, 1, 2, 3]
    assert seen == [0, 1, 2, 3, 4]
    assert [len(batch) for batch in made] == [4, 2]
    assert [len(batch) for batch in batches(rows(), 4, distinct=True)] == [3, 3, 3, 1]


def test_among_these_models_only(main: Main, done: Path, checkpoint: Path, tmp_path: Path) -> None:
    texts = [f"{topic} number {i}" for i in range(10) for topic in TOPICS]
    place = tmp_path / "queries.jsonl"
    place.write_text(lines(*({"query": text} for text in texts)))

    def routed(*words: Any) -> list[dict[str, Any]]:
        code, out, err = main("route", *words, "--input", place, "--models", "a, c", "--models=b")
        assert code == 0, err
        return [json.loads(line)["decision"] for line in out.splitlines()]

    trained = open_router(checkpoint)
    own = [trained.models[choice] for choice in trained.route(texts).choice]
    assert set(own) == set("abcd")
    for then, one in zip(own, routed(checkpoint), strict=True):
        if then != "d":
            assert one["model"] == then
            assert "reason" not in one
        else:
            left = {name: value for name, value in one["quality"].items() if name != "d"}
            assert one["model"] == max(left, key=lambda name: left[name])
            assert "confidence" not in one
            assert one["reason"] == (
                "d is not among --models: the highest expected quality of these"
            )
    # At a trade-off the best at it; where nothing is expected, the best in training.
    at = routed(checkpoint, "--point", "savings=40%")
    assert {one["model"] for one in at} <= set("abc")
    board = json.loads((done / "leaderboard.json").read_text())
    facts = board["diagnostics"]["folds"][0]
    code, out, _ = main("route", done, "best-single", "--models", "a,b", "--json", "x")
    assert code == 0
    single = facts["best_single"]
    best = max("ab", key=lambda name: float(facts["mean_score"][name]))
    assert json.loads(out)["model"] == (single if single in "ab" else best)
    # A policy that is not the router's choice is not named.
    code, out, _ = main("route", done, ROUTER, "--models", "b", "--json", "x")
    assert "policy" not in json.loads(out)
    assert json.loads(out)["model"] == "b"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--models", "a,nope"), "--models: knn knows no model 'nope'"),
        (("--output", "x.jsonl", "text"), "--output is about the lines of --input"),
        (("--skip-bad", "text"), "--skip-bad is about the lines of --input"),
        (("--input", "nothing.jsonl"), "nothing.jsonl: No such file"),
        (("--input", "nothing.jsonl", "text"), "queries are given as arguments too"),
        (("--input", "q.jsonl", "--output", "/dev/null"), "--output /dev/null: is no file"),
        (("--input", "q.jsonl", "--output", "no/x"), "--output no/x: there is no folder no"),
        (("--input", "empty.jsonl"), "--input empty.jsonl: no query in it"),
        (("--router", ROUTER, "x"), "holds knn, not Policied"),
        (("--seed", "1", "x"), "a checkpoint folder holds one seed and fold"),
    ],
)
def test_bad_input(
    main: Main, checkpoint: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "q.jsonl").write_text(lines({"query": "x"}))
    (here / "empty.jsonl").write_text("\n")
    code, out, err = main("route", checkpoint, *words)
    assert (code, out) == (2, "")
    assert said in err
    code, _, err = main("route", checkpoint.parent / "run")
    assert (code, "name a router of the run too" in err) == (2, True)


def test_texts_as_arguments_and_lines(
    main: Main, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = main("route", checkpoint, "--json", "river capital 1", "poem verse 2")
    assert (code, err) == (0, "")
    assert [json.loads(line)["query"] for line in out.splitlines()] == [
        "river capital 1",
        "poem verse 2",
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("river capital 1\n\npoem verse 2\n"))
    assert main("route", checkpoint, "--json") == (0, out, "")


def test_a_checkpoint_of_a_file(main: Main, done: Path, tmp_path: Path) -> None:
    export(done, "Policied", tmp_path / "checkpoint")
    code, out, _ = main("route", tmp_path / "checkpoint", "--router", ROUTER, "--json", "x")
    assert code == 0
    assert json.loads(out)["policy"]
