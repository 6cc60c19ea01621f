"""SciPy's special functions: the package's own, without its slow import."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_only_the_functions_are_imported() -> None:
    code = (
        "import sys; from routebench.special import special\n"
        "print(special().ndtr(0.0), [m for m in ('scipy.special', 'numpy.testing', 'numpy.f2py')"
        " if m in sys.modules])"
    )
    assert run(code) == "0.5 []"


@pytest.mark.parametrize("first", ["", "import scipy.special; "])
def test_the_package_works_before_and_after(first: str) -> None:
    code = (
        f"{first}from routebench.special import special; mine = special()\n"
        "import scipy.special as whole, scipy.stats\n"
        "names = 'bdtr betainc betaincinv ndtr ndtri psi stdtrit'.split()\n"
        "import scipy; assert scipy.special is whole\n"
        "print([n for n in names if getattr(mine, n) is not getattr(whole, n)],"
        " float(whole.logsumexp([0.0])), float(scipy.stats.norm.cdf(0)))"
    )
    assert run(code) == "[] 0.0 0.5"


def test_a_scipy_that_keeps_them_elsewhere() -> None:
    code = (
        "from routebench import special; special.FUNCTIONS = 'scipy.special._elsewhere'\n"
        "print(special.special().__name__, special.special().ndtr(0.0))"
    )
    assert run(code) == "scipy.special 0.5"
