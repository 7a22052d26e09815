"""Validation at the door: every public function checks its input here, in one message style.

A refusal reads "WHAT must RULE; got FOUND. ADVICE". Symbols: N frames, K components, D dimensions.
"""

import importlib
import unicodedata
from collections.abc import Collection, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechgmm.errors import InvalidInput, MissingExtra

Array = NDArray[Any]


def refuse(what: str, rule: str, found: object, advice: str = "", *, error: type = InvalidInput) -> NoReturn:
    """Raise `error` with the one message style of this package; what was found may be a message itself.

    Examples
    --------
    >>> refuse("n_components", "be at least 1", 0)
    Traceback (most recent call last):
    speechgmm.errors.InvalidInput: n_components must be at least 1; got 0.
    """
    what, rule, got = (_short(str(part)) for part in (what, rule, found))
    end = "" if got.endswith(".") else "."
    raise error(f"{what} must {rule}; got {got}{end}" + (f" {advice}" if advice else ""))


_READ = 1000
"""Characters that a part of a message has at most: a file may hold a name of a megabyte."""


def _short(part: str) -> str:
    """Return a part of a message, without its middle where it is too long."""
    return part if len(part) <= _READ else f"{part[: _READ - 200]} ... {part[-190:]}"


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
    if not a.size:
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
    """Return whether floats are finite and at most `LARGEST` in size; False where this is not quickly told."""
    return a.flags.c_contiguous and float(a.min()) >= -LARGEST and float(a.max()) <= LARGEST


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


_MOST = float(np.finfo(np.float64).max)
_SMALL = 4096
FAR = 1e100
"""No score, and no factor of scores, lies beyond: products of two of them still fit into double precision."""


def floats(x: ArrayLike, what: str, *, shape: tuple[int, ...] | None = None, largest: float = _MOST) -> Array:
    """Return finite numbers as a new, C-contiguous array of float64: what the fields of frozen values hold.

    Parameters
    ----------
    x : array_like
    what : str
        The name used in messages.
    shape : tuple of int, optional
        The shape that is required.
    largest : float
        The largest magnitude that is accepted.
    """
    held = x if type(x) is np.ndarray and x.dtype == np.float64 else numeric(x, what)
    a = np.array(held, dtype=np.float64, order="C")
    if shape is not None and a.shape != shape:
        refuse(what, f"have shape {shape}", f"shape {a.shape}")
    if a.size > _SMALL:
        within = a.max() <= largest and a.min() >= -largest
    else:
        within = b"\0" not in (np.abs(a) <= largest).tobytes()  # a small array has no faster way to ask whether all are
    if not within:
        refuse(what, f"have magnitudes of at most {largest:g}", f"{np.abs(finite(a, what)).max():g}")
    return a


def hold(value: object, **fields: Any) -> None:
    """Set fields of a frozen dataclass to what its `__post_init__` has checked; arrays become read-only."""
    vars(value).update(fields)  # what frozen dataclasses keep from all others
    for field in fields.values():
        if isinstance(field, np.ndarray):
            field.setflags(write=False)


def _plain(value: Any) -> Any:
    """Return an array without axes, as which files bring numbers of NumPy's back, as the number that it is."""
    return value[()] if isinstance(value, np.ndarray) and not value.ndim else value


def number(
    value: Any,
    what: str,
    *,
    minimum: float = -np.inf,
    maximum: float = np.inf,
    above: bool = False,
    below: bool = False,
    finite: bool = False,
    unit: str = "",
    advice: str = "",
) -> float:
    """Return `value` as a float from `minimum` (left out with `above`) to `maximum` (left out with `below`).

    Infinity is a number unless `finite` is asked for; NaN never is.
    """
    value = _plain(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        refuse(what, "be a number", repr(value), advice)
    try:
        found = float(value)  # a float32 would be compared with the bounds in its own precision
    except OverflowError:
        refuse(what, "be a number that double precision can hold", "a whole number beyond", advice)
    if finite and not np.isfinite(found):
        refuse(what, "be finite", f"{found:g}{unit}", advice)
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
    value = _plain(value)
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


def instance(value: Any, what: str, kind: type, advice: str = "") -> None:
    """Refuse what is not of this kind: a class, or an abstract one such as Mapping."""
    if not isinstance(value, kind):
        refuse(what, f"be {with_article(kind.__name__)}", with_article(type(value).__name__), advice)


def sequence_of(values: Any, what: str, kind: type) -> None:
    """Refuse what is no tuple or list of values of this kind."""
    if not isinstance(values, (tuple, list)):
        refuse(what, f"be a tuple, each of a {kind.__name__}", f"a {type(values).__name__}")
    for i, value in enumerate(values):
        instance(value, f"{what}, at {i},", kind)


_JOINERS = "\u200c\u200d"
"""Format characters that belong to spelling: Persian and Indic words need them, and emoji are joined by them."""
_UNSEEN = {"Cc": "control", "Cf": "format", "Cs": "surrogate", "Zl": "line separator", "Zp": "paragraph separator"}
"""Categories of characters that are not seen, or that change how others are seen."""


def name(value: Any, what: str) -> str:
    r"""Return the name of a speaker, a session or a class as it is kept: see `visible`; blank ones are refused.

    Examples
    --------
    >>> name("Rene\u0301", "a name") == "Ren\u00e9"
    True
    >>> name("a\u202e", "a name")
    Traceback (most recent call last):
    speechgmm.errors.InvalidInput: a name must hold no control or format characters; got U+202E (format) in 'a\u202e'.
    """
    if not isinstance(value, str) or not value.strip():
        refuse(what, "be text that is not blank", ascii(value))
    return visible(value, what)


def visible(text: str, what: str) -> str:
    """Return text as composed characters (NFC), so that a name has one spelling, or refuse what cannot be seen in it.

    Refused are characters that break tables (tabs, line ends), that are lost (a NUL at the end of a NumPy string) or
    that make one name look like another: direction overrides and isolates, zero-width spaces, lone surrogates. Joiners
    (U+200C, U+200D) stay allowed: Persian and Indic spelling needs them.
    """
    if text.isascii() and text.isprintable():
        return text
    if unseen := [c for c in text if _is_unseen(c)]:
        kind = _UNSEEN[unicodedata.category(unseen[0])]
        refuse(what, "hold no control or format characters", f"U+{ord(unseen[0]):04X} ({kind}) in {text!a}")
    return composed(text)


def composed(text: str) -> str:
    """Return text in which accented letters are one character each (NFC): the one spelling of names."""
    return unicodedata.normalize("NFC", text)


def escaped(text: str) -> str:
    r"""Return text with escapes for what cannot be seen in it: how the names of files are kept and shown.

    Examples
    --------
    >>> print(escaped("a\tb\udce1"))
    a\tb\udce1
    """
    return "".join(ascii(c)[1:-1] if _is_unseen(c) else c for c in text)


def _is_unseen(c: str) -> bool:
    return unicodedata.category(c) in _UNSEEN and c not in _JOINERS


def number_of(n: int, noun: str) -> str:
    """Return how many there are.

    Examples
    --------
    >>> number_of(1, "test"), number_of(2, "test")
    ('1 test', '2 tests')
    """
    return f"{n} {noun}" + ("" if n == 1 else "s")


def percent_of(rate: float) -> str:
    """Return a rate in percent, without the sign; what two decimals would show as 0 with two digits.

    Examples
    --------
    >>> percent_of(0.1234), percent_of(0.000012), percent_of(0.0)
    ('12.34', '0.0012', '0.00')
    """
    return f"{100 * rate:.2g}" if 0 < rate < 5e-5 else f"{100 * rate:.2f}"


def enumerated(parts: Sequence[str]) -> str:
    """Return words as a list in a sentence.

    Examples
    --------
    >>> enumerated(["one"]), enumerated(["one", "two", "three"])
    ('one', 'one, two and three')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def with_article(noun: str) -> str:
    """Return a noun with its article.

    Examples
    --------
    >>> with_article("System"), with_article("AudioClassifier"), with_article("MFCC")
    ('a System', 'an AudioClassifier', 'an MFCC')
    """
    spelled = noun[:2].isupper() and noun[:1] in "FHLMNRSX"  # MFCC is read em-eff-see-see
    return f"{'an' if spelled or noun[:1].lower() in tuple('aeio') else 'a'} {noun}"


def extra(module: str, name: str) -> Any:
    """Import an optional `module`, or say which extra of this package brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module.split('.')[0]} must be installed for this; it was not found. "
            f"Install it with: python -m pip install 'speechgmm[{name}]'"
        ) from error
