"""Mixtures in text files of other toolkits: how such a file is read, how its numbers are checked and written.

A file is data of strangers: it may be binary, cut, of any size, or lie about how much it holds. What is read is counted
before it is used, and every refusal names the file. Symbols: K components, D dimensions.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, NoReturn, TypeVar

import numpy as np

from speechgmm.checks import Array, instance, refuse
from speechgmm.errors import InvalidInput
from speechgmm.files import Kind, check_readable, replacing
from speechgmm.mixture import GMM, Covariance, Full

T = TypeVar("T")

LARGEST_FILE = 1 << 28
"""Bytes of a file at most: a full mixture of 2048 components in 60 dimensions takes a third of it."""
_SUM = 1e-3
"""Weights that were printed with few digits sum to 1 within this."""
_NEAR, _SHARE = 1e-2, 1e-3
"""A constant that is kept beside the parameters may differ so much, in nats, and by this share, from what they say."""


def read_text(path: str | os.PathLike[str], what: str) -> str:
    """Return what a text file holds, its bytes as characters.

    Parameters
    ----------
    path : path
    what : str
        What the file should be, with its article, for messages.

    Raises
    ------
    InvalidInput
        If it is missing, no regular file, or too large.
    """
    with _opened(path, what) as file:
        if (size := os.fstat(file.fileno()).st_size) > LARGEST_FILE:
            refuse(os.fspath(path), f"be {what} of at most {LARGEST_FILE >> 20} MB", f"one of {size >> 20} MB")
        return file.read(LARGEST_FILE).decode("latin-1")


def first_characters(path: str | os.PathLike[str]) -> str:
    """Return the first characters of a file of some toolkit, space at its beginning apart."""
    with _opened(path, "a mixture of another toolkit") as file:
        return file.read(4096).decode("latin-1").lstrip()


@contextlib.contextmanager
def _opened(path: str | os.PathLike[str], what: str) -> Iterator[IO[bytes]]:
    """Give a file's bytes; refuse one that is missing or cannot be read."""
    source = os.fspath(path)
    check_readable(path, what)
    try:
        with open(path, "rb") as file:
            yield file
    except FileNotFoundError:
        refuse(what, "exist", f"{source}, which does not", "Check the path.")
    except OSError as error:
        refuse(what, "be a readable file", f"{source} ({error.strerror})")


def write_text(path: str | os.PathLike[str], kind: Kind, parts: Iterable[str]) -> None:
    """Write a text file whole, over nothing of another kind."""
    with replacing(path, kind) as beside, Path(beside).open("w", encoding="ascii", newline="\n") as file:
        file.writelines(parts)


def numbers(words: list[str], source: str, name: str) -> Array:
    """Return words as finite numbers; `name` is what the file calls them."""
    try:
        if any("_" in word for word in words):  # which Python reads in numbers
            raise ValueError("an underscore")
        found = np.array([float(word) for word in words], dtype=np.float64)
    except ValueError as error:
        refuse(source, f"hold numbers as {name}", f"this: {error}")
    if not np.isfinite(found).all():
        bad = int((~np.isfinite(found)).sum())
        refuse(source, f"hold finite numbers as {name}", f"{bad} of {found.size} that are not")
    return found


def spelled(values: Array) -> str:
    """Return numbers as the shortest text that gives the same doubles again.

    Examples
    --------
    >>> spelled(np.array([0.1, 1e-300, 3.0]))
    '0.1 1e-300 3.0'
    """
    return " ".join(map(repr, values.tolist()))


def weights_of(given: Array, source: str) -> Array:
    """Return weights that were printed with few digits, scaled to sum 1."""
    if not given.size or given.min() < 0 or abs(given.sum() - 1) > _SUM:
        found = f"{given.size} of them, the least {given.min():g}, with sum {given.sum():g}" if given.size else "none"
        refuse(source, "hold weights of at least 0 with sum 1", found)
    return np.asarray(given / given.sum())


def check_constants(given: Array, wanted: Array, source: str, name: str) -> None:
    """Refuse constants that do not follow from the parameters beside them: then one of both is not what it was.

    Components of weight 0, whose constants are infinite, are passed over. Constants are not used: what the parameters
    say counts.
    """
    known = np.isfinite(wanted)
    off = np.abs(given - wanted)[known]
    if (off > _NEAR + _SHARE * np.abs(wanted[known])).any():
        rule = f"hold {name} that follow from the other parameters"
        refuse(source, rule, f"one that is off by {off.max():g} nats", "It was changed or damaged: write it again.")


def malformed(source: str, rule: str, found: str) -> NoReturn:
    """Refuse a file that is not as the format says."""
    refuse(source, rule, found, "Is it whole?")


def built(make: Callable[..., T], source: str, *args: object) -> T:
    """Return what a constructor makes of numbers of a file; what it refuses names the file."""
    try:
        return make(*args)
    except InvalidInput as error:
        raise InvalidInput(f"{source}: {error}") from error


def one_mixture(gmm: GMM) -> GMM:
    """Return one mixture without its components of weight 0, which change no density; anything else is refused."""
    instance(gmm, "what is written", GMM, "Give one mixture: of an ensemble, one of its parts.")
    return gmm if (gmm.weights > 0).all() else gmm.take(np.flatnonzero(gmm.weights))


def dense_precisions(gmm: GMM) -> Array:
    """Return the inverse of the covariance matrix of each component, shape (K, D, D)."""
    lower = np.linalg.inv(np.linalg.cholesky(gmm.covariance_matrices))
    return np.asarray(np.swapaxes(lower, 1, 2) @ lower)


def inverted(precisions: Array, source: str, name: str) -> Covariance:
    """Return the covariance whose inverse matrices (K, D, D) a file holds under this name."""
    try:
        lower = np.linalg.cholesky(precisions)
    except np.linalg.LinAlgError:
        malformed(source, f"hold positive definite matrices as {name}", "one that is not")
    inverse = np.linalg.inv(lower)
    return built(Full, source, np.swapaxes(inverse, 1, 2) @ inverse)
