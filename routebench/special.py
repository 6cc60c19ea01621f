"""SciPy's special functions, without the rest of the package that holds them.

`import scipy.special` also imports NumPy's test tools, its polynomials and a Fortran parser, which
takes ten times as long as the functions and is a good part of a `verify`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from functools import cache
from typing import Any

PACKAGE, FUNCTIONS = "scipy.special", "scipy.special._ufuncs"


@cache
def special() -> Any:
    """Return the compiled functions of `scipy.special`; `digamma` is `psi` among them."""
    spec = None if PACKAGE in sys.modules else importlib.util.find_spec(PACKAGE)
    if spec is None:
        return importlib.import_module(PACKAGE)
    # The functions need their package to be known, not to be run; it can still be imported.
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    try:
        return importlib.import_module(FUNCTIONS)
    except ImportError:
        pass  # another SciPy, which keeps them elsewhere
    finally:
        del sys.modules[PACKAGE]
    return importlib.import_module(PACKAGE)
