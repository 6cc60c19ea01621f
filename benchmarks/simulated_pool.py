"""Compare the simulated pool's statistics on the questions with those of real answers.

python benchmarks/simulated_pool.py [--facts simple_qa_test_set.csv] [--real outcomes.parquet]

Accuracies, refusals and prices per model; how alike the models err; how much of the gap between
the best single model and the oracle nearest neighbours recover; and whether the `exact` judge
reads every answer as it was meant. Exits 1 where a figure is outside its bounds.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from routebench.records import Codes, Floats, Grade, Ints, Mask, Request, Strings
from routebench_judges.exact.judge import Exact
from routebench_providers.simulated.provider import Simulated, Stance
from routebench_suites.questions import EMBEDDED, Question, read_questions

NEIGHBOURS, DIMENSION, FOLDS = 100, 128, 5
MEANT = {
    Stance.RIGHT: Grade.CORRECT,
    Stance.WRONG: Grade.INCORRECT,
    Stance.DECLINED: Grade.NOT_ATTEMPTED,
}
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Graded:
    """Answers of m models to n questions, graded."""

    name: str
    models: list[str]
    queries: list[str]
    topics: list[str | None]
    answer_types: list[str | None]
    grades: Codes
    """[n, m] a `Grade` each."""
    texts: list[list[str]]
    cost: Floats | None = None
    """[m] USD per 1,000 answers."""

    @property
    def right(self) -> Mask:
        mask: Mask = self.grades == Grade.CORRECT
        return mask


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--facts", type=Path, default=EMBEDDED)
    parser.add_argument("--real", type=Path, help="an outcomes file with grades, to compare")
    parser.add_argument("--world", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    questions = read_questions(options.facts)
    pool = Simulated(Simulated.Options(facts=options.facts, world=options.world))
    graded, wrong = simulate(pool, questions)
    wrong += values(pool, questions)
    gap = describe(graded, options.seeds)
    if options.real:
        describe(recorded(options.real), options.seeds)
    embedded = options.facts == EMBEDDED
    # On questions of others nobody vouches for every alias, nor for what can be learnt from them.
    checks = {
        "accuracies within .05 to .56": bool(
            graded.right.mean(axis=0).min() > 0.05 and graded.right.mean(axis=0).max() < 0.56
        ),
        "neighbours recover 5 to 25% of the gap": 0.05 <= gap <= 0.25 or not embedded,
        "answers are read as meant": wrong == 0 if embedded else wrong <= 0.01 * graded.grades.size,
    }
    print()
    for what, holds in checks.items():
        print(f"{'ok  ' if holds else 'FAIL'} {what}")
    return 0 if all(checks.values()) else 1


def simulate(pool: Simulated, questions: list[Question]) -> tuple[Graded, int]:
    """All answers, graded by the real judge, and how many were read otherwise than meant."""
    models = pool.pool()
    requests = [Request(name, q.query) for q in questions for name in models.models]
    pool.answer(requests[:1])  # reads the questions
    start = time.perf_counter()
    answers = pool.answer(requests)
    seconds = time.perf_counter() - start
    texts = [text or "" for text in answers.text]
    references = [accepted(q) for q in questions for _ in models.models]
    asked = [request.prompt for request in requests]
    found = Exact(Exact.Options()).judge(asked, references, texts).grade
    assert found is not None
    meant = np.array([MEANT[pool.stance(request)] for request in requests])
    shape = (len(questions), len(models))
    assert models.input_price is not None
    assert models.output_price is not None
    tokens = (answers.input_tokens.reshape(shape), answers.output_tokens.reshape(shape))
    dollars = tokens[0] * models.input_price + tokens[1] * models.output_price
    forms = len(set(texts))
    print(f"{len(requests)} answers in {seconds:.2f} s, {forms} different texts")
    print("meant and graded as:")
    read = Counter(zip(meant.tolist(), found.tolist(), strict=True))
    for (one, other), count in sorted(read.items()):
        print(f"  {Grade(one).name:14s} {Grade(other).name:14s} {count:6d}")
    for row in np.flatnonzero(meant != found)[:20]:
        print(f"  {requests[row].prompt!r}\n    {references[row]}\n    {texts[row]!r}")
    graded = Graded(
        f"simulated: {len(questions)} questions",
        list(models.models),
        [q.query for q in questions],
        [q.topic for q in questions],
        [q.answer_type for q in questions],
        found.reshape(shape),
        [texts[at : at + shape[1]] for at in range(0, len(texts), shape[1])],
        dollars.mean(axis=0) / 1e6 * 1000,
    )
    return graded, int((meant != found).sum())


def accepted(question: Question) -> str:
    """Return the answers that count as right, as the judge reads them."""
    return json.dumps([question.reference, *question.aliases], ensure_ascii=False)


def values(pool: Simulated, questions: list[Question]) -> int:
    """Grades every right and every wrong value alone; how many are graded otherwise."""
    rows = [(q, value, 0) for q in questions for value in (q.reference, *q.aliases)]
    rows += [(q, value, 1) for q in questions for value in pool.wrong_values(q.query)]
    found = Exact(Exact.Options()).judge(
        [q.query for q, _, _ in rows],
        [accepted(q) for q, _, _ in rows],
        [value for _, value, _ in rows],
    )
    assert found.grade is not None
    off = np.flatnonzero(found.grade != np.array([wanted for _, _, wanted in rows]))
    right = sum(wanted == 0 for _, _, wanted in rows)
    print(f"values alone: {right} right, {len(rows) - right} wrong, {len(off)} graded otherwise")
    for row in off[:10]:
        print(f"  {rows[row][0].query!r} {accepted(rows[row][0])} {rows[row][1]!r}")
    return len(off)


def recorded(path: Path) -> Graded:
    """An outcomes table with grades."""
    columns = ["query_id", "query", "topic", "answer_type", "model", "response", "grade"]
    rows = pq.read_table(path, columns=columns).sort_by(
        [("query_id", "ascending"), ("model", "ascending")]
    )
    table = rows.to_pydict()
    models = sorted(set(table["model"]))
    m = len(models)
    grades = np.array([Grade[grade] for grade in table["grade"]], dtype=np.int8)
    texts = [text or "" for text in table["response"]]
    return Graded(
        f"recorded: {path.name}, {len(grades) // m} questions",
        models,
        table["query"][::m],
        table["topic"][::m],
        table["answer_type"][::m],
        grades.reshape(-1, m),
        [texts[at : at + m] for at in range(0, len(texts), m)],
    )


def describe(graded: Graded, seeds: int) -> float:
    """Print all figures of a table; the mean share of the gap that neighbours recover."""
    right = graded.right
    declined = graded.grades == Grade.NOT_ATTEMPTED
    n, m = right.shape
    print(f"\n{graded.name}")
    print(f"{'':28s} accuracy  not attempted  when attempted  $ per 1,000")
    for column, name in enumerate(graded.models):
        accuracy, refused = right[:, column].mean(), declined[:, column].mean()
        price = "" if graded.cost is None else f"{graded.cost[column]:12.4f}"
        print(
            f"{name:28s} {accuracy:8.3f} {refused:14.3f} {accuracy / (1 - refused):15.3f} {price}"
        )
    print("\nphi of correctness")
    phi = np.corrcoef(right.T.astype(float))
    for name, row in zip(graded.models, phi, strict=True):
        print(f"{name:28s} " + " ".join(f"{value:5.2f}" for value in row))
    pairs = phi[np.triu_indices(m, 1)]
    print(f"mean {pairs.mean():.3f}, from {pairs.min():.3f} to {pairs.max():.3f}")
    refusals = np.corrcoef(declined.T.astype(float))[np.triu_indices(m, 1)]
    print(f"mean phi of refusals {refusals.mean():.3f}")
    print(f"wrong pairs that say the same number: {same_mistake(graded):.3f}")
    agreed, better, gain = agreement(graded)
    print(
        f"where two models say the same number, it is right in {agreed:.3f}; the better of the two"
        f" is in {better:.3f}: {gain:+.2f} in log-odds (means over pairs of models)"
    )
    known = right.sum(axis=1)
    disagree = (known > 0) & (known < m)
    # What the same accuracies would give were models right and wrong independently.
    rate = right.mean(axis=0)
    apart = 1 - rate.prod() - (1 - rate).prod()
    print(
        f"models disagree on {disagree.sum()} of {n} ({disagree.mean():.3f}, {apart:.3f} if"
        f" independent); none knows {(known == 0).mean():.3f}, all know {(known == m).mean():.3f}"
    )
    best = int(rate.argmax())
    print(
        f"best single {graded.models[best]} {rate[best]:.3f}, oracle {(known > 0).mean():.3f};"
        f" where the best is right, another is too: {(known[right[:, best]] > 1).mean():.3f}"
    )
    topics = np.array([topic or "" for topic in graded.topics])
    print("\nby topic, the best first")
    for topic in sorted(set(topics)):
        rates = right[topics == topic].mean(axis=0)
        order = np.argsort(-rates)[:3]
        shown = ", ".join(f"{graded.models[at]} {rates[at]:.2f}" for at in order)
        print(f"  {topic:24s} {(topics == topic).sum():5d}  {shown}")
    gap = recovered(graded.queries, right.astype(float), seeds)
    print(
        f"\nkNN-{NEIGHBOURS} on TF-IDF and SVD-{DIMENSION}, {FOLDS} folds × {seeds} splits:"
        f" {gap.mean():.3f} of the gap recovered (from {gap.min():.3f} to {gap.max():.3f})"
    )
    return float(gap.mean())


def same_mistake(graded: Graded) -> float:
    """Of pairs of wrong answers to questions for numbers and dates, those with one number."""
    rows, said = numbers(graded)
    alike = pairs = 0
    for grades, spoken in zip(graded.grades[rows], said, strict=True):
        wrong = [one for one in spoken[grades == Grade.INCORRECT] if one]
        pairs += len(wrong) * (len(wrong) - 1) // 2
        alike += sum(count * (count - 1) // 2 for count in Counter(wrong).values())
    return alike / max(pairs, 1)


def agreement(graded: Graded) -> tuple[float, float, float]:
    """Return what equal numbers of two models tell of being right; means over pairs of models.

    How often that number is right, how often the better of the two is, over all questions for
    numbers and dates, and the difference of their log-odds.
    """
    rows, said = numbers(graded)
    right = graded.right[rows]
    found = []
    for i, j in combinations(range(right.shape[1]), 2):
        same = (said[:, i] == said[:, j]) & (said[:, i] != "")
        if same.any():
            better = right[:, [i, j]].mean(axis=0).max()
            found.append((right[same, i].mean(), better))
    agreed, better = np.array(found).T
    gain = np.log(agreed / (1 - agreed)) - np.log(better / (1 - better))
    return float(agreed.mean()), float(better.mean()), float(gain.mean())


def numbers(graded: Graded) -> tuple[Ints, Strings]:
    """Rows of questions for numbers and dates, and the last number of each answer to them.

    Empty where there is none but the question's own, or nothing is attempted.
    """
    rows = [at for at, kind in enumerate(graded.answer_types) if kind in ("Number", "Date")]
    said = np.full((len(rows), len(graded.models)), "", dtype=object)
    for row, at in enumerate(rows):
        asked = set(_NUMBER.findall(graded.queries[at]))
        for model, text in enumerate(graded.texts[at]):
            if graded.grades[at, model] in (Grade.CORRECT, Grade.INCORRECT):
                found = (one for one in reversed(_NUMBER.findall(text)) if one not in asked)
                said[row, model] = next(found, "")
    return np.array(rows, dtype=np.int64), said


def recovered(queries: list[str], right: Floats, seeds: int) -> Floats:
    """[seeds] (neighbours − best single) / (oracle − best single), cross-fitted."""
    with threadpool_limits(1):  # the matrices are small: more threads wait for each other
        return np.array([_recovered(queries, right, seed) for seed in range(seeds)])


def _recovered(queries: list[str], right: Floats, seed: int) -> float:
    n = len(queries)
    counts = CountVectorizer(ngram_range=(1, 2), min_df=2, dtype=np.float32).fit_transform(queries)
    fold = np.random.default_rng(seed).permutation(n) % FOLDS
    got = single = 0.0
    for part in range(FOLDS):
        train, test = fold != part, fold == part
        # Weights and directions are learnt on the training texts; a run that no training text
        # has adds nothing to them.
        weights = TfidfTransformer(sublinear_tf=True).fit(counts[train])
        svd = TruncatedSVD(DIMENSION, n_iter=3, random_state=seed)
        known = normalize(svd.fit_transform(weights.transform(counts[train])))
        asked = normalize(svd.transform(weights.transform(counts[test])))
        near = np.argpartition(-(asked @ known.T), NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        choice = right[train][near].mean(axis=1).argmax(axis=1)
        got += right[test][np.arange(len(choice)), choice].sum()
        single += right[test][:, right[train].mean(axis=0).argmax()].sum()
    return float((got - single) / (right.max(axis=1).sum() - single))


if __name__ == "__main__":
    sys.exit(main())
