"""List class names that are defined more than once in core; exit 1 where one has no reason to be.

One name stands for one thing: a reader who meets it in a second file need not ask which it is.
Usage: python .ci/class_names.py [FOLDER …], by default the packages of this project.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

PACKAGES = ("routebench", "plugins", "suites")
REASONS = {
    "Options": "the contract of every plugin: a model of that name inside its class",
}


def main(folders: list[str]) -> int:
    """Print every name that is defined twice or more, with its files."""
    status = 0
    for name, files in sorted(class_names(folders or list(PACKAGES)).items()):
        if len(files) > 1 and name not in REASONS:
            print(f"{name}: defined {len(files)} times: {', '.join(files)}")
            status = 1
    return status


def class_names(folders: list[str]) -> dict[str, list[str]]:
    """Return the files in which each class is defined, nested classes included."""
    names = defaultdict(list)
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
                if isinstance(node, ast.ClassDef):
                    names[node.name].append(str(path))
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
