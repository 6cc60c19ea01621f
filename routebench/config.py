"""The options of a run, given on the command line or in a TOML run file."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from routebench.errors import DataError, OptionError, did_you_mean
from routebench.files import absolute
from routebench.limits import parse_toml
from routebench.plugin import discovery, options
from routebench.plugin.renamed import current_name
from routebench.records import HIDEABLE
from routebench.shard import Shard

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


ENCODERS = {"embedded": "tfidf-svd", "paper": "hf:allenai/longformer-base-4096"}
"""The encoder of each profile: no download by default, the sources' where it is asked for."""


class RunConfig(BaseModel):
    """Everything that `routebench run` takes; `run.toml` in a run folder holds the same fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    suite: str = Field(description="suite, or suite:FILE")
    data: str | None = Field(None, description="file the suite reads")
    source: str | None = Field(None, description="which of its data the suite takes")
    map: str | None = Field(None, description="names of the file's columns: query=prompt,…")
    add: str | None = Field(None, description="store or table of more outcomes to train on")
    score_max: float | None = Field(None, gt=0, description="what the file's scores go up to")
    show: tuple[str, ...] = Field((), description="query columns that routers may see")
    task: Literal["hidden", "train", "all"] | None = Field(
        None, description="who sees a query's task: no router, training, or training and routing"
    )
    prices: str | None = Field(
        None, description="price list, JSON or TOML; `list`: the dated lists that are carried"
    )
    router: tuple[str, ...] = Field(("all",), min_length=1)
    judge: str | None = Field(None, description="grades answers that have no score")
    answers_as: str | None = Field(
        None, description="judge that reads final answers, for routers that see answers"
    )
    device: str = "cpu"
    seeds: int = Field(1, ge=1, le=100)
    split: Literal["auto", "given", "hash"] = "auto"
    split_seed: int = 0
    folds: int | None = Field(None, ge=3, le=100)
    inner_folds: int | None = Field(
        None,
        ge=3,
        le=20,
        description="fits by which points are chosen, before a router is refitted",
    )
    protocol: Literal["query", "user", "llm", "online"] = "query"
    online: tuple[str, ...] = Field(
        (), description="settings of an online run: start=warm, batch=32, swap=A:B"
    )
    shots: int = Field(
        0, ge=0, description="training queries by which unseen users or models are known"
    )
    encoder: str | None = Field(None, description="encoder, or encoder:ARGUMENT")
    profile: Literal["embedded", "paper"] = "embedded"
    perturb: int = Field(100, ge=0, description="test queries that are also asked perturbed")
    against: tuple[str, ...] = Field((), description="routers that all others are compared with")
    point: tuple[str, ...] = Field((), description="more operating points: savings=40%, cost=0.2")
    margin: str = Field("1pp", description="accuracy that a router may lose: within-1pp is judged")
    volume: str | None = Field(None, description="queries to count dollars for: 100000/day")
    objective: dict[Literal["performance", "cost"], Weight] = {"performance": 1.0, "cost": 0.0}
    keep_texts: bool = Field(False, description="the run folder keeps the queries' texts")
    max_missing: float = Field(0.01, ge=0, le=1)
    assume_output_tokens: int = Field(256, ge=0)
    set: dict[str, dict[str, Any]] = {}
    out: str | None = None
    jobs: int | None = Field(None, ge=1)
    job_timeout: float | None = Field(None, gt=0)
    isolation: Literal["fork", "spawn"] = Field(
        "fork", description="jobs forked from a warm process, or each started fresh"
    )
    fresh: bool = False
    shard: str | None = Field(None, description="which part of the jobs: i/n, from 0/n on")
    executor: str | None = Field(None, description="where jobs run, or executor:ADDRESS")

    @field_validator("device")
    @classmethod
    def _known(cls, value: str) -> str:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", value):
            raise ValueError("must be cpu, cuda or cuda:N")
        return value

    @field_validator("objective")
    @classmethod
    def _whole(cls, value: dict[str, float]) -> dict[str, float]:
        return {"performance": 1.0, "cost": 0.0} | value

    @property
    def encoder_name(self) -> str:
        return self._encoder.partition(":")[0]

    @property
    def encoder_argument(self) -> str:
        """Return the text after the encoder's colon: the value of its first option."""
        return self._encoder.partition(":")[2]

    @property
    def encoder_label(self) -> str:
        """Return the encoder as the board names it: a hub model in full, a file by its name."""
        argument = self.encoder_argument
        name = Path(argument).name if os.path.exists(argument) else argument
        return f"{self.encoder_name}:{name}" if argument else self.encoder_name

    @property
    def _encoder(self) -> str:
        return self.encoder or ENCODERS[self.profile]

    @property
    def executor_name(self) -> str:
        return (self.executor or "local").partition(":")[0]

    @property
    def executor_address(self) -> str:
        """Return the text after the executor's colon, which may have colons of its own."""
        return (self.executor or "").partition(":")[2]

    @property
    def suite_name(self) -> str:
        return self.suite.partition(":")[0]

    @property
    def suite_data(self) -> str | None:
        """Return the file after the suite's colon, or `data`."""
        return self.suite.partition(":")[2] or self.data


def make(values: dict[str, Any]) -> RunConfig:
    """Return a checked configuration; an `OptionError` names the option that is wrong."""
    if not values.get("suite"):
        raise OptionError("no suite given", "--suite NAME, for example --suite table:outcomes.csv")
    if "router" in values and not values["router"]:
        raise OptionError(
            "--router: no router named", "all, or names such as --router knn,linear,best-single"
        )
    for name in values:
        if name not in RunConfig.model_fields:
            raise OptionError(
                f"unknown option {name!r}", did_you_mean(name, RunConfig.model_fields)
            )
    try:
        named = _current(values) | {"suite": as_suite(values["suite"])}
        config = RunConfig.model_validate(named)
    except ValidationError as error:
        raise OptionError(options.explain(error, "--")) from error
    if config.data and ":" in config.suite:
        raise OptionError(f"--data {config.data}: the suite names a file too", "give one of them")
    if config.online and config.protocol != "online":
        raise OptionError("--online is for queries that arrive in order", "--protocol online")
    if config.protocol == "online":
        for name in ("folds", "inner_folds"):
            if getattr(config, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise OptionError(f"{option}: an online run has one stream", "leave it out")
    if config.shots and config.protocol not in ("user", "llm"):
        raise OptionError(
            "--shots is for users or models unseen in training", "--protocol user, or llm"
        )
    if config.shard is not None:
        config = config.model_copy(update={"shard": str(Shard.parse(config.shard))})
    if "task" in config.show and config.task not in (None, "all"):
        raise OptionError(f"--show task and --task {config.task} contradict each other")
    for column in config.show:
        if column not in HIDEABLE:
            raise OptionError(f"--show: {column!r} cannot be shown", did_you_mean(column, HIDEABLE))
    return config


def older_names(values: dict[str, Any]) -> list[str]:
    """Return a note for each router that is given by its older name."""
    given = [*values.get("router", ()), *values.get("against", ()), *values.get("set", {})]
    found = dict.fromkeys(name for name in map(str, given) if current_name(name) != name)
    return [f"{name} is called {current_name(name)} now" for name in found]


def _current(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with routers called as they are today."""
    made = dict(values)
    for option in ("router", "against"):
        if isinstance(values.get(option), list | tuple):
            made[option] = [current_name(str(name)) for name in values[option]]
    if isinstance(values.get("set"), dict):
        made["set"] = {current_name(name): given for name, given in values["set"].items()}
    return made


def as_suite(text: Any) -> Any:
    """Return the suite that a text names: a table where it is the name of an outcomes file.

    >>> as_suite("results/outcomes.csv")
    'table:results/outcomes.csv'
    """
    if not isinstance(text, str) or "." not in text:
        return text
    from routebench.data.files import is_outcomes_name  # with all that reads tables

    if not is_outcomes_name(text):
        return text
    if ":" in text and not os.path.isfile(text):
        return text
    named = text.partition(":")[0] in {info.name for info in discovery.installed("suite")}
    return text if named else f"table:{text}"


def read(path: Path) -> dict[str, Any]:
    """Read the fields of a TOML run file."""
    try:
        values = parse_toml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"--file {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"--file {path}: not TOML: {error}") from error
    given = values.get("set", {})
    if not (isinstance(given, dict) and all(isinstance(table, dict) for table in given.values())):
        raise DataError(f"--file {path}: set = {given!r}", "write [set.NAME], then OPTION = VALUE")
    return values


def dump(config: RunConfig) -> str:
    """Return TOML that repeats the run; paths are absolute, so that it works anywhere."""
    import tomli_w

    values = config.model_dump(exclude_none=True, exclude={"out", "fresh"}, mode="json")
    name, _, path = config.suite.partition(":")
    if path:
        values["suite"] = f"{name}:{located(path)}"
    if config.encoder_argument:
        values["encoder"] = f"{config.encoder_name}:{absolute(config.encoder_argument)}"
    values["set"] = {
        plugin: {name: absolute(value) for name, value in given.items()}
        for plugin, given in config.set.items()
    }
    for name in ("data", "add"):
        if name in values:
            values[name] = located(values[name])
    if values.get("prices", "list") != "list":  # which is no file
        values["prices"] = str(Path(values["prices"]).resolve())
    values["router"] = [_absolute(router) for router in config.router]
    if config.online:
        values["online"] = [_absolute_setting(item) for item in config.online]
    else:
        del values["online"]
    return tomli_w.dumps(values)


def located(data: str) -> str:
    """Return the full path of a suite's data file; a number is a size and stays as it is."""
    return data if data.isdecimal() else str(Path(data).resolve())


def _absolute_setting(item: str) -> str:
    name, equals, value = item.partition("=")
    return f"{name}={located(value)}" if name.strip() == "later" else f"{name}{equals}{value}"


def _absolute(router: str) -> str:
    path, colon, rest = router.rpartition(".py:")
    return f"{Path(path).resolve()}{colon}{rest}" if colon else router
