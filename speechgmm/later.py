"""Names of a package that are loaded when they are first used (PEP 562), so that importing it is quick."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["later"]


def later(package: str, modules: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of a package whose public names are loaded when they are first used.

    A name that is also that of a module of the package cannot be among them: whoever imports that module puts it in the
    place of the name.

    Parameters
    ----------
    package : str
        Its `__name__`.
    modules : mapping
        Modules or packages in it, and the names in each of them with spaces between.

    Examples
    --------
    >>> load, names = later("speechgmm", {"mixture": "GMM fit_gmm"})
    >>> load("GMM").__name__
    'GMM'
    >>> {"GMM", "fit_gmm"} <= set(names())
    True
    """
    home = {name: module for module, names in modules.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"{package}.{home[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return load, names
