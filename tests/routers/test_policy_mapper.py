"""From policies to models: every rule, which outranks which, and the budget's edge."""

from __future__ import annotations

from pathlib import Path

import pytest

from routebench.errors import DataError, OptionError
from routebench.plugin.budget import Budget
from routebench_routers.policy.mapper import Mapped, Mapper

KEYWORD, SUM = "please code", "what is 2 + 2"
LONG = "word " * 80
SPENT = (10.0, 9.5)


@pytest.fixture
def mapper() -> Mapper:
    return Mapper.load()


def write(place: Path, text: str) -> Mapper:
    place.write_text(text, encoding="utf-8")
    return Mapper.load(place)


STATIC = """
[policies]
standard = "medium"
complex = "large"
ambiguous = "medium"
"""


@pytest.mark.parametrize(
    ("policy", "tier"), [("standard", "medium"), ("complex", "large"), ("ambiguous", "medium")]
)
def test_the_static_map(mapper: Mapper, policy: str, tier: str) -> None:
    expected = Mapped(tier, "policy", policy)
    assert mapper.decide(policy, "who wrote it") == expected
    assert mapper.static(policy) == expected


@pytest.mark.parametrize(
    ("text", "rule", "detail"),
    [
        ("Please CODE it", "keyword", "CODE"),
        ("2 + 2", "arithmetic", "2 + 2"),
        (LONG, "length", "80 words"),
        ("word " * 79, "policy", "standard"),
        ("decode the codes of barcode", "policy", "standard"),
        ("code-breaking", "keyword", "code"),
    ],
)
def test_each_rule_goes_up(mapper: Mapper, text: str, rule: str, detail: str) -> None:
    tier = "medium" if rule == "policy" else "large"
    assert mapper.decide("standard", text) == Mapped(tier, rule, detail)
    assert mapper.static("standard").tier == "medium"  # whatever the text


@pytest.mark.parametrize(
    ("text", "budget", "rule"),
    [
        (KEYWORD, SPENT, "budget"),
        (LONG, SPENT, "budget"),
        (SUM, SPENT, "budget"),
        ("who", SPENT, "budget"),
        (f"{KEYWORD} {LONG}", None, "keyword"),
        (f"{KEYWORD} {SUM}", None, "keyword"),
        (f"{LONG} {SUM}", None, "length"),
        (f"{KEYWORD} {LONG} {SUM}", SPENT, "budget"),
        (f"{KEYWORD} {LONG} {SUM}", (10.0, 1.0), "keyword"),
    ],
)
def test_the_earlier_rule_outranks(
    mapper: Mapper, text: str, budget: tuple[float, float] | None, rule: str
) -> None:
    found = mapper.decide("complex", text, Budget(*budget) if budget else None)
    assert found.rule == rule
    assert found.tier == ("medium" if rule == "budget" else "large")


def test_a_keyword_overrides_while_the_budget_allows_it(mapper: Mapper) -> None:
    budget = Budget(10.0, 8.5)
    assert mapper.decide("standard", "Write Python code", budget)[:2] == ("large", "keyword")
    assert mapper.decide("complex", "who", budget)[:2] == ("large", "policy")
    budget.charge(0.5)
    assert mapper.decide("standard", "Write Python code", budget) == Mapped(
        "medium", "budget", "90% of the budget is spent"
    )


@pytest.mark.parametrize(
    ("limit", "spent", "over"),
    [
        (10.0, 9.0, True),
        (10.0, 8.999999, False),
        (10.0, 25.0, True),
        (1.0, 0.1 * 9, True),
        (1.0, sum([0.1] * 9), True),  # .8999999999999999
        (0.3, 0.27, True),
        (1e-6, 0.9e-6, True),
        (1e-6, 0.8999e-6, False),
        (3.0, 0.0, False),
    ],
)
def test_the_edge_of_the_budget(mapper: Mapper, limit: float, spent: float, over: bool) -> None:
    found = mapper.decide("complex", "who", Budget(limit, spent))
    assert found.rule == ("budget" if over else "policy")


def test_a_budget_adds_up() -> None:
    budget = Budget(1.0)
    for _ in range(9):
        assert not budget.reached(0.9)
        budget.charge(0.1)
    assert budget.reached(0.9)
    assert budget.share == pytest.approx(0.9)
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="cannot cost"):
            budget.charge(wrong)


@pytest.mark.parametrize("values", [(0.0, 0.0), (-1.0, 0.0), (float("nan"), 0.0), (1.0, -1.0)])
def test_no_budget_at_all(values: tuple[float, float]) -> None:
    with pytest.raises(OptionError):
        Budget(*values)


def test_without_a_table_the_rule_is_off(tmp_path: Path) -> None:
    mapper = write(tmp_path / "m.toml", STATIC)
    assert mapper.decide("standard", f"{KEYWORD} {LONG} {SUM}").rule == "policy"
    assert mapper.decide("complex", "who", Budget(1.0, 0.9)) == Mapped(
        "medium", "budget", "90% of the budget is spent"
    )


def test_a_changed_file_changes_the_models(tmp_path: Path) -> None:
    mapper = write(
        tmp_path / "m.toml",
        '[budget]\nshare = 0.5\nmodel = "tiny"\n[keywords]\nwords = ["c++", "machine learning"]\n'
        + '[length]\nwords = 3\nmodel = "medium"\n[arithmetic]\nmodel = "tiny"\n'
        + STATIC.replace('standard = "medium"', 'standard = "large"'),
    )
    assert mapper.decide("standard", "who").tier == "large"
    assert mapper.decide("complex", "who", Budget(1.0, 0.5)).tier == "tiny"
    assert mapper.decide("standard", "Machine\n LEARNING").rule == "keyword"
    assert mapper.decide("standard", "C++?").rule == "keyword"
    assert mapper.decide("standard", "a b c") == Mapped("medium", "length", "3 words")
    assert mapper.decide("standard", "2+2") == Mapped("tiny", "arithmetic", "2+2")
    assert mapper.columns(["big", "mid", "tiny"], 1, 0) == {"medium": 1, "large": 0, "tiny": 2}
    with pytest.raises(DataError) as raised:
        mapper.columns(["big", "mid", "tinny"], 1, 0)
    assert raised.value.message == (
        f"{tmp_path}/m.toml: budget.model: no model 'tiny' in this pool"
    )
    assert raised.value.hint == "did you mean tinny?"


def test_rules_go_through_text(mapper: Mapper) -> None:
    again = Mapper.parse(mapper.dump(), "checkpoint")
    assert again.mapping == mapper.mapping
    assert again.decide("standard", KEYWORD) == mapper.decide("standard", KEYWORD)
    with pytest.raises(DataError, match="checkpoint: policies: is missing"):
        Mapper.parse("", "checkpoint")


def test_models_named_like_the_pair_are_the_pair(mapper: Mapper) -> None:
    assert mapper.columns(["large", "medium", "x"], 0, 2) == {"medium": 0, "large": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[budget", "not TOML"),
        ("[budgets]\n" + STATIC, "budgets: no such table"),
        ("[keywords]\nwords = []\n" + STATIC, "keywords.words: must be words"),
        ('[keywords]\nwords = "code"\n' + STATIC, "keywords.words: must be a list"),
        ("[length]\n" + STATIC, "length.words: is missing"),
        ("[length]\nwords = 0\n" + STATIC, "length.words: must be at least 1"),
        ("[length]\nword = 3\nwords = 3\n" + STATIC, "length.word: no such key"),
        ("[budget]\nshare = 90\n" + STATIC, "budget.share: must be at most 1"),
        ('[policies]\nstandard = "medium"\n', "policies: no model for complex, ambiguous"),
        (STATIC + 'hard = "large"\n', "policies: 'hard' is none of standard"),
        (STATIC.replace('"large"', "3"), "policies.complex: must be a text"),
        ("", "policies: is missing"),
    ],
)
def test_a_wrong_file_is_told_where(tmp_path: Path, text: str, message: str) -> None:
    place = tmp_path / "m.toml"
    with pytest.raises(DataError) as raised:
        write(place, text)
    assert raised.value.message.startswith(f"{place}: {message}")
    assert "\n" not in raised.value.message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no\.toml: No such file"):
        Mapper.load(tmp_path / "no.toml")
