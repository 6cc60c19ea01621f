"""Write the files of a new plugin distribution, from the templates of its kind."""

from __future__ import annotations

import importlib.util
import keyword
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template

from routebench.errors import OptionError
from routebench.plugin import discovery

KINDS = ("router", "suite", "judge", "provider", "encoder")
LONGEST = 40
"""Characters of a name; it is part of names of files, and of columns in tables."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TAKEN = {"QualityRouter"}
"""Names that the templates import."""


@dataclass(frozen=True)
class NewPlugin:
    """The names of a new plugin and its distribution."""

    kind: str
    name: str

    @property
    def distribution(self) -> str:
        return f"routebench-{self.name}"

    @property
    def module(self) -> str:
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """Return the class, such as `MyRouter` for the routers `my` and `my-router`."""
        words = [word.capitalize() for word in self.name.split("-")]
        return "".join(words if words[-1].lower() == self.kind else [*words, self.kind.title()])


def check_name(kind: str, name: str) -> NewPlugin:
    """Return the names of a new plugin.

    Raises:
        OptionError: the name cannot be one of a plugin, a distribution and a module, or is taken.
    """
    if len(name) > LONGEST or not _NAME.fullmatch(name):
        rule = f"small letters, digits and single dashes, a letter first, at most {LONGEST}"
        shown = name[:LONGEST]
        raise OptionError(f"{shown!r} is no name for a {kind}", f"{rule}: my-{kind}")
    new = NewPlugin(kind, name)
    if name.startswith("routebench-"):
        hint = f"routebench new {kind} {name.removeprefix('routebench-')}"
        raise OptionError(f"{name!r}: the distribution gets `routebench-` before its name", hint)
    if any(info.name == name for info in discovery.installed(kind)):
        raise OptionError(f"a {kind} named {name!r} is installed already", f"{name}-2, say")
    if importlib.util.find_spec(new.module) is not None:
        raise OptionError(
            f"{name!r}: a package {new.module} is installed already", f"{name}-2, say"
        )
    if new.class_name in _TAKEN or keyword.iskeyword(new.class_name):
        raise OptionError(f"{name!r}: its class would be {new.class_name}, which is taken")
    return new


def write(new: NewPlugin, out: Path) -> list[Path]:
    """Write the distribution to the folder `out`, which must not be there; return its files.

    Raises:
        OptionError: there is something at `out`, or nothing can be made there.
    """
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        hint = "give another NAME, or another place: --out DIR"
        raise OptionError(f"{out} is there already, and nothing is overwritten", hint) from None
    except OSError as error:
        raise OptionError(f"{out}: cannot be made: {error.strerror}", "--out DIR") from None
    package = out / "src" / new.module
    places = {
        "pyproject.toml": out / "pyproject.toml",
        "README.md": out / "README.md",
        "plugin.py": package / "__init__.py",
        "test_plugin.py": out / "tests" / f"test_{new.module}.py",
    }
    words = {
        "kind": new.kind,
        "name": new.name,
        "distribution": new.distribution,
        "module": new.module,
        "class_name": new.class_name,
    }
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_template(new.kind, source).substitute(words), encoding="utf-8")
    (package / "py.typed").touch()
    return [*places.values(), package / "py.typed"]


def _template(kind: str, file: str) -> Template:
    """Return the template of a file: that of the kind, or the one that all kinds share."""
    templates = resources.files("routebench.scaffold") / "templates"
    own = templates / kind / f"{file}.template"
    found = own if own.is_file() else templates / f"{file}.template"
    return Template(found.read_text(encoding="utf-8"))
