"""Validation at the door: every public function checks its input here, in one message style.

A refusal reads "WHAT must RULE; got FOUND. ADVICE". Symbols: N frames, K components, D dimensions.
"""

import importlib
from collections.abc import Collection
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.errors import InvalidInput, MissingExtra

Array = NDArray[Any]


def refuse(what: str, rule: str, found: object, advice: str = "", *, error: type = InvalidInput) -> NoReturn:
    """Raise `error` with the one message style of this package.

    Examples
    --------
    >>> refuse("n_components", "be at least 1", 0)
    Traceback (most recent call last):
    speechgmm.errors.InvalidInput: n_components must be at least 1; got 0.
    """
    raise error(f"{what} must {rule}; got {found}." + (f" {advice}" if advice else ""))


SMALLEST, LARGEST = 1e-151, 1e151
"""Where the largest entry of a matrix must lie, if it is not 0: beyond, squares leave double precision."""


def matrix(
    x: ArrayLike,
    what: str = "frames",
    *,
    dimensions: int | None = None,
    minimum: int = 1,
    missing: bool = False,
    tiny: bool = False,
) -> Array:
    """Return `x` as a finite float matrix (N, D), float32 kept and all else turned to float64.

    Parameters
    ----------
    x : array_like, shape (N, D)
    what : str
        The name used in messages.
    dimensions : int, optional
        The D that is required.
    minimum : int
        The least N that is accepted.
    missing : bool
        Let NaN pass, as what was not observed. Infinities are refused all the same.

    Raises
    ------
    InvalidInput
        For anything that is not a two-dimensional array of finite real numbers of the right shape, or of a scale whose
        squares double precision cannot hold.
    """
    a = numeric(x, what)
    if a.ndim != 2:
        advice = "Use x[:, None] for one feature per frame, or x[None, :] for one frame."
        refuse(what, "be a matrix of shape (frames, dimensions)", f"an array of shape {a.shape}", advice)
    if dimensions is not None and a.shape[1] != dimensions:
        refuse(what, f"have {dimensions} features per frame, as the model has", f"shape {a.shape}")
    if a.shape[0] < minimum or a.shape[1] < 1:
        refuse(what, f"hold at least {minimum} frame(s) of at least one feature", f"shape {a.shape}")
    return _in_range(a, what, missing=missing, tiny=tiny)


def _in_range(a: Array, what: str, *, missing: bool, tiny: bool) -> Array:
    """Return `a` if its entries are finite and their scale is one whose squares can be held."""
    if not a.size or (tiny and surely_in_range(a)):
        return a
    top = max(-float(a.min()), float(a.max()))
    if not np.isfinite(top):
        known = np.where(np.isnan(a), a.dtype.type(0), a) if missing else a
        top = float(np.abs(finite(known, what)).max())
    if top > LARGEST or (0 < top < SMALLEST and not tiny):
        rule = f"have a largest magnitude from {SMALLEST:g} to {LARGEST:g}"
        refuse(what, rule, f"{top:g}", "Give the features in another unit.")
    return a


def surely_in_range(a: Array) -> bool:
    """Return whether floats are finite and at most `LARGEST`, in one pass; False where this pass cannot tell."""
    if not a.flags.c_contiguous:
        return False
    flat = a.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.einsum("i,i->", flat, flat))  # no product of BLAS, whose threads take long to wake
    return square <= LARGEST**2


def numeric(x: ArrayLike, what: str) -> Array:
    """Return `x` as a float array of any shape: float32 stays, everything else becomes float64."""
    try:
        a = np.asarray(x)
    except ValueError:
        refuse(what, "be a rectangular array of numbers", "rows of different lengths")
    if a.dtype.kind not in "fiub":
        refuse(what, "hold real numbers", f"an array of type {a.dtype}")
    if a.dtype != np.float32:
        a = a.astype(np.float64, copy=False)
    return a


def sample_weights(weights: ArrayLike, n: int) -> Array:
    """Return how often each of `n` frames counts as float64 (N,): finite and at least 0."""
    w = numeric(weights, "sample weights").astype(np.float64, copy=False)
    if w.shape != (n,):
        refuse("sample weights", f"have shape ({n},), one for each frame", f"shape {w.shape}")
    if finite(w, "sample weights").min(initial=0.0) < 0:
        refuse("sample weights", "be at least 0", f"{w.min():g} at frame {int(w.argmin())}")
    return w


def finite(a: Array, what: str) -> Array:
    """Return `a` if all of its entries are finite; say how many and where the first one is otherwise."""
    good = np.isfinite(a)
    if not good.all():
        where = tuple(np.argwhere(~good)[0].tolist())
        found = f"{int((~good).sum())} NaN or infinite of {a.size} entries, the first at index {where}"
        refuse(what, "be finite", found)
    return a


def number(
    value: Any,
    what: str,
    *,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    above: bool = False,
    below: bool = False,
    unit: str = "",
    advice: str = "",
) -> float:
    """Return `value` as a float from `minimum` (left out with `above`) to `maximum` (left out with `below`)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        refuse(what, "be a number", repr(value), advice)
    found = float(value)  # a float32 would be compared with the bounds in its own precision
    low_ok = found > minimum if above else found >= minimum
    high_ok = found < maximum if below else found <= maximum
    if not (low_ok and high_ok):
        rule = f"be {'above' if above else 'at least'} {minimum:g}{unit}"
        if maximum < np.inf:
            rule += f" and {'below' if below else 'at most'} {maximum:g}{unit}"
        refuse(what, rule, f"{found:g}{unit}", advice)
    return found


def probability(value: Any, what: str) -> float:
    """Return `value` as a float between 0 and 1, both left out."""
    return number(value, what, minimum=0, maximum=1, above=True, below=True)


def integer(value: Any, what: str, *, minimum: int, maximum: int | None = None, advice: str = "") -> int:
    """Return `value` as an int from `minimum` to `maximum`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        refuse(what, "be a whole number", repr(value), advice)
    if value < minimum or (maximum is not None and value > maximum):
        rule = f"be at least {minimum}" + ("" if maximum is None else f" and at most {maximum}")
        refuse(what, rule, int(value), advice)
    return int(value)


def choice(value: Any, what: str, allowed: Collection[str]) -> str:
    """Return `value` if it is one of `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        refuse(what, "be one of " + ", ".join(repr(a) for a in allowed), repr(value))
    return value


def extra(module: str, name: str) -> Any:
    """Import an optional `module`, or say which extra of this package brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module.split('.')[0]} must be installed for this; it was not found. "
            f"Install it with: python -m pip install 'speechgmm[{name}]'"
        ) from error
