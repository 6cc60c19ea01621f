"""The dated prices that the package carries, and how one is found."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from routebench.errors import DataError
from routebench.prices import snapshots
from routebench.prices.lists import ModelPrice, PriceList
from routebench.prices.snapshots import find_price, history, read, vendors

HEAD = """vendor = "acme"
date = 2026-01-31
source = "https://acme.example/pricing"
currency = "USD"
"""
MODEL = """
[models."acme-1.5"]
input_usd_per_mtok = 1.0
output_usd_per_mtok = 4.0
aliases = ["acme-1.5-0101"]
"""
PLACE = "acme-2026-01-31.toml"
LATER = read(
    "acme-2026-03-01.toml",
    HEAD.replace("01-31", "03-01")
    + '[models."acme-2"]\ninput_usd_per_mtok = 3\noutput_usd_per_mtok = 9\n',
)
OTHER = read(
    "zeta-2026-02-01.toml",
    HEAD.replace("acme", "zeta").replace("01-31", "02-01") + MODEL.replace("1.0", "7.0"),
)


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two vendors, one of them with two lists."""
    monkeypatch.setattr(snapshots, "snapshots", lambda: (read(PLACE, HEAD + MODEL), LATER, OTHER))


def test_every_carried_list_is_whole() -> None:
    found = snapshots.snapshots()
    assert {one.vendor for one in found} >= {"google", "openai", "anthropic", "deepseek"}
    today = datetime.date.today()
    for one in found:
        assert one.source.startswith("https://"), one.id
        assert datetime.date(2022, 1, 1) < one.date <= today, one.id
        for own in one.models:
            price = own.price
            assert 0 < price.input_usd_per_mtok <= price.output_usd_per_mtok < 1000, own.name
            assert price.cached_usd_per_mtok is None or (
                0 < price.cached_usd_per_mtok < price.input_usd_per_mtok
            ), own.name
            assert price.size is None, "not a price"
            assert price.description is None, "not a price"


def test_lists_come_by_vendor_and_date() -> None:
    order = [(one.vendor, one.date) for one in snapshots.snapshots()]
    assert order == sorted(set(order))


def test_known_prices() -> None:
    """Spot checks against the vendors' pages."""
    price, found = find_price("gemini", "gemini-2.5-flash")
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (0.3, 2.5)
    assert found.startswith("google-20")
    mini = find_price("openai", "gpt-4o-mini-2024-07-18")[0]
    assert (mini.input_usd_per_mtok, mini.cached_usd_per_mtok) == (0.15, 0.075)
    assert mini == find_price("openai", "gpt-4o-mini")[0]
    old = find_price("openai", "gpt-4-1106-preview", date=datetime.date(2024, 1, 1))
    assert old == (ModelPrice(input_usd_per_mtok=10, output_usd_per_mtok=30), "openai-2023-11-06")
    first = find_price("deepseek", "deepseek-chat", date=datetime.date(2025, 9, 4))
    later = find_price("deepseek", "deepseek-chat", date=datetime.date(2025, 9, 5))
    assert (first[0].output_usd_per_mtok, later[0].output_usd_per_mtok) == (1.1, 1.68)


def test_prices_of_suites_agree_with_the_vendors(shared: Path) -> None:
    from routebench.prices.lists import load_prices

    for model, own in load_prices(shared / "simpleqa" / "prices.json").models.items():
        provider = "openai" if model.startswith("gpt") else "anthropic"
        found = find_price(provider, model)[0]
        assert found.input_usd_per_mtok == own.input_usd_per_mtok
        assert found.output_usd_per_mtok == own.output_usd_per_mtok


@pytest.mark.usefixtures("carried")
def test_the_newest_list_that_has_the_model() -> None:
    price, found = find_price("acme", "acme-1.5-0101")
    assert (price.input_usd_per_mtok, found) == (1.0, "acme-2026-01-31")
    assert find_price("acme", "acme-2")[1] == "acme-2026-03-01"
    with pytest.raises(DataError, match="no price of acme:acme-2 on 2026-02-28 or before") as late:
        find_price("acme", "acme-2", date=datetime.date(2026, 2, 28))
    assert "2026-03-01" in late.value.message


@pytest.mark.usefixtures("carried")
def test_a_compatible_server_may_be_any_vendors() -> None:
    assert vendors("openai") == ("openai", "acme", "zeta")
    assert vendors("gemini") == ("google",)
    assert find_price("openai", "acme-1.5")[1] == "acme-2026-01-31", "never two vendors mixed"
    assert [one.id for one, _ in history("acme-1.5")] == ["acme-2026-01-31", "zeta-2026-02-01"]
    with pytest.raises(DataError):
        find_price("zeta", "acme-2")


@pytest.mark.usefixtures("carried")
def test_a_users_list_wins() -> None:
    own = {name: ModelPrice(input_usd_per_mtok=n, output_usd_per_mtok=n)
           for n, name in enumerate(("acme-1.5", "zeta:acme-1.5", "mine"))}  # fmt: skip
    prices = PriceList(own, "mine.toml")
    found = find_price("acme", "acme-1.5", prices)
    assert found == (own["acme-1.5"], f"mine.toml@{prices.fingerprint}")
    assert find_price("zeta", "acme-1.5", prices)[0] is own["zeta:acme-1.5"]
    assert find_price("vllm", "mine", prices)[0] is own["mine"]
    assert find_price("acme", "acme-2", prices)[1] == "acme-2026-03-01", "what it lacks is listed"


@pytest.mark.usefixtures("carried")
@pytest.mark.parametrize(
    ("provider", "model", "hint"),
    [
        ("acme", "acme-1.4", "did you mean acme-1.5"),
        ("zeta", "acme-22", "acme-1.5"),
        ("vllm", "qwen", "--prices FILE"),
        ("simulated", "sim-pro", "--prices FILE"),
    ],
)
def test_no_price_is_an_error_and_never_nothing(provider: str, model: str, hint: str) -> None:
    with pytest.raises(DataError, match=f"no price of {provider}:{model} is known") as caught:
        find_price(provider, model)
    assert hint in caught.value.hint
    assert "--prices FILE" in caught.value.hint
    with pytest.raises(DataError, match=r"nor in mine\.toml"):
        find_price(provider, model, PriceList({}, "mine.toml"))


def without(line: str) -> Callable[[str], str]:
    return lambda text: "\n".join(own for own in text.splitlines() if not own.startswith(line))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("source"), "source is missing"),
        (without("date"), "date is missing"),
        (without("[mod"), "models is missing"),
        (without("input"), r"model acme-1\.5: input_usd_per_mtok is missing"),
        (lambda text: text.replace("USD", "EUR"), "prices are in USD"),
        (lambda text: text.replace("01-31", "01-30"), r"make another name: acme-2026-01-30\.toml"),
        (lambda text: text.replace("2026-01-31", '"2026-01-31"'), "make another name"),
        (lambda text: text.replace("acme-1.5-0101", "acme-1.5"), r"acme-1\.5 is there twice"),
        (lambda text: text.replace("source", "page = 1\nsource"), "page"),
        (lambda text: text.replace("aliases", "alias"), "alias is not understood"),
        (lambda text: text.replace("1.0", '"1"'), "field input_usd_per_mtok"),
        (lambda text: text + "[", "not TOML"),
    ],
)
def test_a_list_that_is_not_right_says_so(change: Callable[[str], str], message: str) -> None:
    assert read(PLACE, HEAD + MODEL).models[0].aliases == ("acme-1.5-0101",)
    with pytest.raises(DataError, match=message) as caught:
        read(PLACE, change(HEAD + MODEL))
    assert caught.value.message.startswith(PLACE)


def test_nothing_is_read_before_it_is_asked_for() -> None:
    """Help lists every command, and must not pay for their data."""
    code = (
        "import sys; from click.testing import CliRunner; from routebench.__main__ import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        "print(any(name in sys.modules for name in"
        " ('routebench.prices.snapshots', 'routebench.prices.lists', 'numpy', 'pydantic')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
