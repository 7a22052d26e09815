"""Types in signatures as a reader names them: `ndarray` and `ArrayLike`, and not what these are made of."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import operator
import types
import typing
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_ArrayLike = type("ArrayLike", (), {"__module__": "numpy.typing"})


def plain(annotation: Any) -> Any:
    """Return an annotation in whose place a reader expects no more than the name of an array."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is np.ndarray:
        return np.ndarray
    if origin in (types.UnionType, typing.Union):
        like = typing.get_args(ArrayLike)
        if set(like) <= set(args):
            args = (_ArrayLike, *(arg for arg in args if arg not in like))
        return functools.reduce(operator.or_, [plain(arg) for arg in args])
    if args and isinstance(annotation, types.GenericAlias) and origin is not collections.abc.Callable:
        return origin[tuple(plain(arg) for arg in args)]
    if args and getattr(annotation, "copy_with", None):
        return annotation.copy_with(tuple(arg if isinstance(arg, list) else plain(arg) for arg in args))
    return annotation


def simplify(value: Any) -> None:
    """Make the annotations of a function, or of all that a class has, plain; in this process alone."""
    found = [value, *vars(value).values()] if inspect.isclass(value) else [value]
    for each in found:
        function = each.fget if isinstance(each, property) else getattr(each, "__func__", each)
        annotations = getattr(function, "__annotations__", None)
        if isinstance(annotations, dict):
            for name, annotation in annotations.items():
                annotations[name] = plain(annotation)
        if isinstance(getattr(function, "func", None), types.FunctionType):
            simplify(function.func)
