"""References for suites with users, which a personalised router must beat.

All of them weigh an expected effect against an expected cost by the preference that the asking
user states, as the reward does; they differ in what they expect.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from routebench.hookspecs import Context, FittedEncoder, hookimpl
from routebench.records import Decisions, Floats, Mask, Pool, Queries, Strings, Table
from routebench.routers.quality_router import QualityRouter
from routebench.routers.state import DeclaredState
from routebench.routers.words import WordWeights

_PENALTIES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
_ENOUGH = 20  # queries needed to fit a model


class PersonalRouter:
    """A router that is asked separately for every user."""

    personal = True

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None."""
        return None if "users" in shown else "needs a suite with users, such as personaroute"


def means(table: Table, rows: Mask | None = None) -> tuple[Floats, Floats]:
    """Return mean effect and cost [m] over OK cells of the given rows.

    A model without OK cells gets effect 0 and cost 1, the worst there are.
    """
    outcomes = table.outcomes if rows is None else table.outcomes.take(rows)
    assert outcomes.relative_cost is not None
    found = []
    for values, worst in ((outcomes.score, 0.0), (outcomes.relative_cost, 1.0)):
        count = outcomes.ok.sum(axis=0)
        mean = np.full(len(count), worst)
        np.divide(np.where(outcomes.ok, values, 0).sum(axis=0), count, out=mean, where=count > 0)
        found.append(mean)
    return found[0], found[1]


def together(train: Table, validation: Table) -> Table:
    """Concatenate both tables, for routers that tune nothing on validation."""
    outcomes = [table.outcomes for table in (train, validation)]
    joined = {
        name: np.concatenate([getattr(part, name) for part in outcomes])
        for name in ("score", "state", "relative_cost")
    }
    users = train.users
    assert users is not None
    assert validation.users is not None
    if users.asked is not None:
        # Users in training only, such as few-shot users, asked nothing on validation.
        theirs = dict(zip(validation.users.name, range(len(validation.users)), strict=True))
        asked = np.zeros((len(validation), len(users)), dtype=np.bool_)
        for column, name in enumerate(users.name):
            if name in theirs:
                other = validation.users.asked
                asked[:, column] = True if other is None else other[:, theirs[name]]
        users = type(users)(users.name, users.preference, np.concatenate([users.asked, asked]))
    tasks = [table.queries.task for table in (train, validation)]
    queries = Queries(
        np.concatenate([train.queries.text, validation.queries.text]),
        task=None if tasks[0] is None else np.concatenate(tasks),  # type: ignore[arg-type]
    )
    return Table(queries, type(outcomes[0])(**joined), train.pool, users)


def worth(effect: Floats, cost: Floats, preference: Floats) -> Floats:
    """Return [n, m] the expected reward of every model, given each query's preference [n]."""
    weight = preference[:, None]
    expected: Floats = weight * effect - (1 - weight) * cost
    return expected


class UserPrior(PersonalRouter, DeclaredState):
    """The best single model of each user; for new users the best one over all users."""

    family = "by user"

    deterministic = True
    effort = 0.1
    choices: dict[str, int]
    default: int

    @hookimpl
    def fit(self, train: Table, validation: Table) -> None:
        known = together(train, validation)
        users = known.users
        assert users is not None
        everyone = users.preference.mean()
        effect, cost = means(known)
        self.default = int((everyone * effect - (1 - everyone) * cost).argmax())
        self.choices = {}
        for column, (name, weight) in enumerate(zip(users.name, users.preference, strict=True)):
            if users.asked is not None:
                own = users.asked[:, column]
                if not known.outcomes.ok[own].any():
                    continue  # nothing is known: treated as a new user
                effect, cost = means(known, own)
            self.choices[str(name)] = int((weight * effect - (1 - weight) * cost).argmax())

    @hookimpl
    def route(self, queries: Queries) -> Decisions:
        assert queries.user is not None
        chosen = [self.choices.get(str(name), self.default) for name in queries.user]
        return Decisions(np.array(chosen, dtype=np.int64))


class TaskPreferencePrior(PersonalRouter, QualityRouter):
    """Mean effect and cost of every model by task, weighed by the stated preference."""

    family = "by user"

    deterministic = True
    effort = 0.1
    tasks: list[str]
    effect: Floats
    """[1 + tasks, m], that over all queries first."""
    cost: Floats

    def needs(self, pool: Pool, shown: Collection[str], priced: bool) -> str | None:
        """Return why a run cannot use it, or None."""
        lacking = None if "task" in shown else "needs tasks that routers may see: --show task"
        return super().needs(pool, shown, priced) or lacking

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        known = together(train, validation)
        assert known.queries.task is not None
        tasks = known.queries.task
        self.tasks = sorted({str(task) for task in tasks if task is not None})
        found = [means(known), *(means(known, tasks == task) for task in self.tasks)]
        self.effect, self.cost = (np.stack(part) for part in zip(*found, strict=True))

    def predict(self, queries: Queries) -> Floats:
        assert queries.task is not None
        assert queries.preference is not None
        place = {task: at for at, task in enumerate(self.tasks, 1)}
        at = np.array([place.get(task, 0) for task in queries.task])
        return worth(self.effect[at], self.cost[at], queries.preference)


class PreferenceLinear(PersonalRouter, QualityRouter):
    """A ridge regression from words (and task, if shown) to every model's effect and cost.

    The penalty is tuned by the reward on validation.
    """

    family = "by user"

    class Options(BaseModel):
        penalty: float | None = Field(
            None, gt=0, description="ridge penalty; tuned on validation if unset"
        )
        max_features: int = Field(50_000, ge=10, description="words and word pairs kept")

    libraries = ("sklearn.feature_extraction.text", "sklearn.linear_model")
    deterministic = True
    effort = 2
    options: Options
    words: WordWeights
    tasks: list[str]
    coefficients: Floats
    """[2 m, d], effects first."""
    intercepts: Floats

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        self.words, words = WordWeights.learn(list(train.queries.text), self.options.max_features)
        tasks = None if "task" in context.training_only else train.queries.task
        self.tasks = [] if tasks is None else sorted({str(t) for t in tasks if t is not None})
        features = self._beside(words, tasks)
        checked = self._features(validation.queries)
        penalties = (self.options.penalty,) if self.options.penalty else _PENALTIES
        reached, kept = -np.inf, ""
        worst = np.repeat([0.0, 1.0], len(train.pool))  # no effect, at the highest cost
        for step, penalty in enumerate(penalties):
            weights = _ridge(features, _targets(train), penalty, worst)
            effect, cost = _expected(checked, *weights)
            value = _reached(validation, effect, cost)
            if value >= reached:
                reached, (self.coefficients, self.intercepts) = value, weights
                kept = f"penalty {penalty:g} is kept"
            context.progress((step + 1) / len(penalties), kept)

    def predict(self, queries: Queries) -> Floats:
        assert queries.preference is not None
        effect, cost = _expected(self._features(queries), self.coefficients, self.intercepts)
        return worth(effect, cost, queries.preference)

    def _features(self, queries: Queries) -> Any:
        return self._beside(self.words.transform(list(queries.text)), queries.task)

    def _beside(self, words: Any, tasks: Strings | None) -> Any:
        """Append one indicator column per task to the word features."""
        from scipy.sparse import csr_matrix, hstack

        if not self.tasks:
            return words
        assert tasks is not None
        hot = np.array([[task == known for known in self.tasks] for task in tasks], np.float64)
        return hstack([words, csr_matrix(hot)], format="csr")


class UserLinear(PersonalRouter, QualityRouter):
    """A ridge regression per user, from the run's encoder to the reward of every model.

    New users get the regression fitted to the reward at the mean preference.
    """

    family = "by user"

    class Options(BaseModel):
        penalty: float | None = Field(
            None, gt=0, description="ridge penalty; tuned on validation for each user if unset"
        )

    libraries = ("encoder", "sklearn.linear_model")
    deterministic = True
    effort = 2
    options: Options
    encoder: FittedEncoder
    names: list[str]
    coefficients: Floats
    """[1 + users, m, d], those for new users first."""
    intercepts: Floats

    def learn(self, train: Table, validation: Table, context: Context) -> None:
        assert train.users is not None
        assert validation.users is not None
        self.encoder, self.names = context.encoder, []
        x, checked = (self._vectors(table.queries.text) for table in (train, validation))
        later = {str(name): column for column, name in enumerate(validation.users.name)}
        weight = float(train.users.preference.mean())
        fitted = [self._fitted(x, _rewards(train, weight), checked, _rewards(validation, weight))]
        for column, (name, weight) in enumerate(
            zip(train.users.name, train.users.preference, strict=True)
        ):
            rewards = _rewards(train, weight, _asked(train, column))
            if np.isnan(rewards).all():
                continue  # nothing is known: treated as a new user
            self.names.append(str(name))
            known = np.zeros(len(validation), dtype=np.bool_)
            if str(name) in later:
                known = _asked(validation, later[str(name)])
            fitted.append(self._fitted(x, rewards, checked, _rewards(validation, weight, known)))
            context.progress((column + 1) / len(train.users), "")
        self.coefficients, self.intercepts = (np.stack(p) for p in zip(*fitted, strict=True))

    def predict(self, queries: Queries) -> Floats:
        assert queries.user is not None
        place = {name: at for at, name in enumerate(self.names, 1)}
        at = np.array([place.get(str(name), 0) for name in queries.user])
        x = self._vectors(queries.text)
        quality: Floats = np.einsum("nd,nmd->nm", x, self.coefficients[at]) + self.intercepts[at]
        return quality

    def _fitted(
        self, x: Floats, rewards: Floats, checked: Floats, actual: Floats
    ) -> tuple[Floats, Floats]:
        """Return coefficients [m, d] and intercepts [m] for the penalty best on validation."""
        penalties = (self.options.penalty,) if self.options.penalty else _PENALTIES
        best, kept = -np.inf, None
        for penalty in penalties:
            weights = _ridge(x, rewards, penalty, -1.0)
            chosen = (checked @ weights[0].T + weights[1]).argmax(axis=1)
            reached = actual[np.arange(len(chosen)), chosen]
            value = float(np.nanmean(reached)) if np.isfinite(reached).any() else -np.inf
            if value >= best:
                best, kept = value, weights
        assert kept is not None
        return kept

    def _vectors(self, texts: Strings) -> Floats:
        unique, place = np.unique(texts.astype(str), return_inverse=True)
        return np.asarray(self.encoder.encode(list(unique)), dtype=np.float64)[place]


def _asked(table: Table, user: int) -> Mask:
    """Return [n] whether a user asked each query."""
    assert table.users is not None
    if table.users.asked is None:
        return np.ones(len(table), dtype=np.bool_)
    asked: Mask = table.users.asked[:, user]
    return asked


def _targets(table: Table) -> Floats:
    """Return [n, 2 m] effect and cost; NaN where they are not known."""
    outcomes = table.outcomes
    assert outcomes.relative_cost is not None
    both = np.hstack([outcomes.score, outcomes.relative_cost])
    return np.where(np.hstack([outcomes.ok, outcomes.ok]), both, np.nan)


def _rewards(table: Table, weight: float, rows: Mask | None = None) -> Floats:
    """Return [n, m] rewards for one preference; NaN where unknown or outside the given rows."""
    effect, cost = np.hsplit(_targets(table), 2)
    reward = weight * effect - (1 - weight) * cost
    return reward if rows is None else np.where(rows[:, None], reward, np.nan)


def _expected(features: Any, coefficients: Floats, intercepts: Floats) -> tuple[Floats, Floats]:
    effect, cost = np.hsplit(np.asarray(features @ coefficients.T) + intercepts, 2)
    return effect, cost


def _reached(table: Table, effect: Floats, cost: Floats) -> float:
    """Return the mean reward over a table's users when each gets the highest expected reward."""
    assert table.users is not None
    true_effect, true_cost = np.hsplit(_targets(table), 2)
    total, count, rows = 0.0, 0, np.arange(len(table))
    for column, weight in enumerate(table.users.preference):
        chosen = (weight * effect - (1 - weight) * cost).argmax(axis=1)
        got = weight * true_effect[rows, chosen] - (1 - weight) * true_cost[rows, chosen]
        got = got[_asked(table, column) & np.isfinite(got)]
        total, count = total + got.sum(), count + len(got)
    return total / count if count else -np.inf


def _ridge(
    features: Any, targets: Floats, penalty: float, worst: Floats | float
) -> tuple[Floats, Floats]:
    """Return coefficients [k, d] and intercepts [k] of k targets, each fitted where it is known.

    A target with few known rows is predicted as a constant: its mean, or `worst` without any.
    """
    from sklearn.linear_model import Ridge

    known = ~np.isnan(targets)
    solver = "sparse_cg" if hasattr(features, "tocsr") else "cholesky"
    coefficients = np.zeros((targets.shape[1], features.shape[1]))
    intercepts = np.full(targets.shape[1], np.nan)
    for columns in _alike(known):
        rows = known[:, columns[0]]
        if rows.sum() < min(_ENOUGH, len(rows)):
            intercepts[columns] = np.nanmean(targets[:, columns], axis=0) if rows.any() else np.nan
            continue
        fitted = Ridge(alpha=penalty, solver=solver).fit(features[rows], targets[rows][:, columns])
        coefficients[columns] = fitted.coef_
        intercepts[columns] = fitted.intercept_
    return coefficients, np.where(np.isnan(intercepts), worst, intercepts)


def _alike(known: Mask) -> Sequence[list[int]]:
    """Group the columns that are known in the same rows."""
    groups: dict[bytes, list[int]] = {}
    for column in range(known.shape[1]):
        groups.setdefault(known[:, column].tobytes(), []).append(column)
    return list(groups.values())
