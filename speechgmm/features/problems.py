"""What is wrong with a corpus: everything is collected, and refused together."""

from collections.abc import Sequence
from typing import NoReturn

from speechgmm.checks import number_of
from speechgmm.errors import BadCorpus, InvalidInput, Skipped

SHOWN = 20
"""How many problems a message lists; the error has all of them."""


class Problems:
    """What has been refused of a corpus so far; in a `with` statement it keeps what is refused inside, and goes on.

    Parameters
    ----------
    source : str
        What the corpus is called.

    Examples
    --------
    >>> problems = Problems("m.csv")
    >>> for line in (2, 7):
    ...     with problems:
    ...         raise InvalidInput(f"line {line} of m.csv must name a path; got nothing.")
    >>> problems.refuse()
    Traceback (most recent call last):
    speechgmm.errors.BadCorpus: m.csv must be without mistakes; got 2 of them:
    line 2 of m.csv must name a path; got nothing.
    line 7 of m.csv must name a path; got nothing.
    """

    def __init__(self, source: str) -> None:
        """Begin with none."""
        self.source = source
        self._found: list[InvalidInput] = []

    def __enter__(self) -> None:
        """Begin to collect."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        """Keep an `InvalidInput` for later; any other error goes its way."""
        if isinstance(error, InvalidInput):
            self._found.append(error)
            return True
        return False

    def refuse(self) -> None:
        """Raise what was found, if anything: one problem as it is, several in one error, a line for each.

        Raises
        ------
        InvalidInput
        """
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            every = tuple(map(str, self._found))
            _raise(f"{self.source} must be without mistakes; got {len(every)} of them:", every)


def refuse_failures(failures: Sequence[Skipped], most: int) -> NoReturn:
    """Refuse to go on with recordings of which so many cannot be used, and name them.

    Raises
    ------
    BadCorpus
    """
    every = tuple(f"{f.name}: {f.reason}" for f in failures)
    _raise(f"recordings that cannot be used must be at most {most}; got {len(every)} so far:", every)


def _raise(head: str, every: tuple[str, ...]) -> NoReturn:
    """Raise one error of several problems, a line for each of the first."""
    rest = [f"and {number_of(len(every) - SHOWN, 'more problem')}"] if len(every) > SHOWN else []
    raise BadCorpus("\n".join([head, *every[:SHOWN], *rest]), every)
