r"""Mixtures in HTK's text format: the definition of a hidden Markov model with one emitting state.

The language of definitions is that of the HTK Book (Young et al. 2006, chapter 7, "HMM Definition Files"). Of it a
mixture takes this much; keywords may be in capital or small letters:

    ~o <VecSize> 2 <NullD> <User> <DiagC>
    ~h "gmm"
    <BeginHMM> <NumStates> 3
    <State> 2 <NumMixes> 2
    <Mixture> 1 0.4 <Mean> 2 0.0 1.0 <Variance> 2 1.0 1.0 <GConst> 3.67
    <Mixture> 2 0.6 <Mean> 2 1.0 0.0 <Variance> 2 1.0 2.0 <GConst> 4.37
    <TransP> 3 0 1 0 0 0.5 0.5 0 0 0
    <EndHMM>

Full covariances are the upper triangles of their inverses, ``<InvCovar>``, row by row. ``<GConst>`` is
D log(2 pi) + log det C_k; it need not be there. Symbols: K components, D dimensions.
"""

import os
import re
from dataclasses import dataclass, field

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.files import Kind, starts_with
from speechgmm.interchange.text import (
    built,
    check_constants,
    dense_precisions,
    inverted,
    malformed,
    numbers,
    one_mixture,
    read_text,
    spelled,
    weights_of,
    write_text,
)
from speechgmm.mixture import GMM, Covariance, Diagonal
from speechgmm.mixture.covariance import Independent

DEFINITION_FILE = Kind("the definition of a mixture in HTK's text format", starts_with(b"~o", b"~h"))
_WHAT = "a mixture in HTK's text format"
_WORD = re.compile(r'"[^"]*"|<[^<>]*>|[^\s<>"]+')
_TIED = "Write the mixture without tied parameters, one ~h that holds all of it."
_LOST = ("<INVDIAGC>", "<LLTC>", "<XFORMC>", "<LLTCOVAR>", "<XFORM>", "<INPUTXFORM>", "<PARENTXFORM>", "<PROJSIZE>")
"""Covariances and transforms that are not read."""
_NAME = "gmm"


@dataclass
class _Component:
    """What is read of one component: its weight, mean, variances or inverse covariance, and constant."""

    weight: float
    mean: Array = field(default_factory=lambda: np.empty(0))
    spread: Array = field(default_factory=lambda: np.empty(0))
    full: bool = False
    constant: float | None = None


def read_htk(path: str | os.PathLike[str]) -> GMM:
    """Read the mixture of a hidden Markov model with one emitting state, as HTK writes it in text.

    Transitions are passed over: frames of a mixture are independent. Components that are not listed have weight 0.

    Parameters
    ----------
    path : path

    Returns
    -------
    GMM
        Of `Diagonal` or `Full` covariances, about the mean of the mixture.

    Raises
    ------
    InvalidInput
        If the file is missing, binary, cut, or larger than 256 MB; if it has several models, emitting states or
        streams, tied parameters, or covariances of another kind; if a number is not finite, a variance not positive, a
        matrix not positive definite; or if ``<GConst>`` does not follow from the covariance.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name, "ubm")
    >>> head, state = "~o <VECSIZE> 1 <NULLD><USER><DIAGC>", "<MEAN> 1 4.0 <VARIANCE> 1 2.0"
    >>> states = f"<NUMSTATES> 3 <STATE> 2 {state} <TRANSP> 3 0 1 0 0 0.5 0.5 0 0 0"
    >>> _ = place.write_text(f'{head} ~h "ubm" <BEGINHMM> {states} <ENDHMM>')
    >>> gmm = read_htk(place)
    >>> gmm.means.round(6).tolist(), gmm.covariance.variances.round(6).tolist()
    ([[4.0]], [[2.0]])
    >>> folder.cleanup()
    """
    source = os.fspath(path)
    text = read_text(path, _WHAT)
    if any(ord(c) < 9 for c in text):
        refuse(source, "be text", "a binary file", "Make it text: HHEd writes text unless -B is given.")
    found = _HTKWords(_WORD.findall(text), source).components()
    weights = weights_of(np.array([c.weight for c in found]), source)
    kinds = {(c.full, len(c.mean)) for c in found}
    if len(kinds) != 1:
        rule = "hold covariances of one kind and means of one length"
        malformed(source, rule, f"{len(kinds)} kinds in {len(found)} components")
    means, spread = np.stack([c.mean for c in found]), np.stack([c.spread for c in found])
    full = found[0].full
    covariance: Covariance = inverted(spread, source, "<InvCovar>") if full else built(Diagonal, source, spread)
    gmm = built(GMM, source, weights, means, covariance)
    known = [k for k, c in enumerate(found) if c.constant is not None]
    given = np.array([found[k].constant for k in known], dtype=np.float64)
    check_constants(given, _constants(gmm)[known], source, "<GConst>")
    return gmm


def write_htk(gmm: GMM, path: str | os.PathLike[str]) -> None:
    """Write a mixture as the text of a hidden Markov model named "gmm" whose one emitting state it is.

    Numbers are printed with as many digits as a double needs. Components of weight 0 are left out. Spherical
    covariances become diagonal ones, tied ones full ones.

    Parameters
    ----------
    gmm : GMM
    path : path
        An existing file is replaced if it is such a definition.

    Raises
    ------
    InvalidInput
        If it is no single mixture, or the file must not or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.interchange import read_htk
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_htk(GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]])), f"{folder.name}/ubm")
    >>> read_htk(f"{folder.name}/ubm").covariance.variances.round(6).tolist()
    [[1.0], [4.0]]
    >>> folder.cleanup()
    """
    gmm = one_mixture(gmm)
    k, d = gmm.means.shape
    independent = isinstance(gmm.covariance, Independent)
    lines = [f"~o\n<STREAMINFO> 1 {d}\n<VECSIZE> {d}<NULLD><USER><{'DIAGC' if independent else 'FULLC'}>\n"]
    lines += [f'~h "{_NAME}"\n<BEGINHMM>\n<NUMSTATES> 3\n<STATE> 2\n<NUMMIXES> {k}\n']
    if isinstance(gmm.covariance, Independent):
        spreads = [f"<VARIANCE> {d}\n {spelled(row)}\n" for row in gmm.covariance.variances_of(k, d)]
    else:
        spreads = [_triangle(matrix) for matrix in dense_precisions(gmm)]
    every = zip(gmm.weights.tolist(), gmm.means, spreads, _constants(gmm).tolist(), strict=True)
    for i, (weight, mean, spread, constant) in enumerate(every, 1):
        lines += [f"<MIXTURE> {i} {weight!r}\n<MEAN> {d}\n {spelled(mean)}\n{spread}<GCONST> {constant!r}\n"]
    write_text(path, DEFINITION_FILE, [*lines, "<TRANSP> 3\n 0 1 0\n 0 0.5 0.5\n 0 0 0\n<ENDHMM>\n"])


class _HTKWords:
    """The words of a definition, read from the first to the last; keywords are compared in capital letters."""

    def __init__(self, words: list[str], source: str) -> None:
        self._words, self._at, self.source = words, 0, source

    @property
    def next(self) -> str:
        """The word here, in capital letters where it is a keyword or a macro; nothing at the end."""
        word = self._words[self._at] if self._at < len(self._words) else ""
        return word.upper() if word.startswith("<") else word.lower() if word.startswith("~") else word

    def take(self, name: str = "") -> str:
        """Return the word here and go behind it; one that has to be `name` is refused if it is another."""
        word = self.next
        if name and word != name:
            malformed(self.source, f"hold {name} here, as the definition of one mixture", word or "the end of the file")
        self._at += 1
        return word

    def whole(self, name: str) -> int:
        """Return a whole number, of at least 1, behind a keyword."""
        self.take(name)
        word = self.take()
        if not (word.isascii() and word.isdigit() and len(word) < 9 and int(word) > 0):
            malformed(self.source, f"hold a whole number of at least 1 behind {name}", word or "the end of the file")
        return int(word)

    def vector(self, name: str, count: int) -> Array:
        """Return so many numbers; the words that are left are fewer only in a file that is cut."""
        words = self._words[self._at : self._at + count]
        if len(words) < count:
            malformed(self.source, f"hold {count} numbers for {name}", f"{len(words)} and the end of the file")
        self._at += count
        return numbers(words, self.source, name)

    def components(self) -> list[_Component]:
        """Return all components of the one state of the one model."""
        while self.next == "~o":
            self.take()
            self._options()
        if self.next.startswith("~") and self.next != "~h":
            refuse(self.source, "hold ~o and ~h alone", f"the macro {self.next}", _TIED)
        if self.next == "~h":
            self.take()
            if not self.take().startswith('"'):
                malformed(self.source, "name its model in quotes behind ~h", "something else")
        self.take("<BEGINHMM>")
        self._options()
        if (states := self.whole("<NUMSTATES>")) != 3:
            refuse(self.source, "hold one emitting state, <NumStates> 3", f"<NumStates> {states}")
        if (state := self.whole("<STATE>")) != 2:
            malformed(self.source, "hold the state 2", str(state))
        found = self._state()
        if self.next == "<TRANSP>":
            self.vector("<TransP>", self.whole("<TRANSP>") ** 2)
        self.take("<ENDHMM>")
        if self.next:
            refuse(self.source, "end with <EndHMM>, as the definition of one mixture", f"{self.next[:40]} behind it")
        return found

    def _options(self) -> None:
        """Pass over global options; refuse those that would make the numbers mean something else."""
        while self.next.startswith("<") and self.next not in ("<NUMSTATES>", "<BEGINHMM>"):
            if self.next in _LOST:
                rule = "hold diagonal variances or inverse covariances, without transforms"
                refuse(self.source, rule, self.next)
            if self.next == "<STREAMINFO>":
                if (streams := self.whole("<STREAMINFO>")) != 1:
                    refuse(self.source, "hold one stream", f"{streams}")
                self.take()
            elif self.next == "<VECSIZE>":
                self.whole("<VECSIZE>")
            elif self.take() == "<HMMSETID>":
                self.take()

    def _state(self) -> list[_Component]:
        """Return the components of the state here."""
        k = self.whole("<NUMMIXES>") if self.next == "<NUMMIXES>" else 1
        self._stream()
        if self.next != "<MIXTURE>":
            return [self._pdf(1.0)]
        found, last = [], 0
        while self.next == "<MIXTURE>":
            if not last < (number := self.whole("<MIXTURE>")) <= k:
                malformed(self.source, f"hold mixtures from 1 to {k}, ascending", f"{number} behind {last}")
            last = number
            found.append(self._pdf(float(self.vector("<Mixture>", 1)[0])))
        return found

    def _stream(self) -> None:
        """Pass over what says that there is one stream, of weight 1."""
        if self.next == "<SWEIGHTS>":
            weights = self.vector("<SWeights>", self.whole("<SWEIGHTS>"))
            if weights.tolist() != [1.0]:
                refuse(self.source, "hold one stream, of weight 1", f"weights {spelled(weights[:8])}")
        if self.next == "<STREAM>" and (number := self.whole("<STREAM>")) != 1:
            refuse(self.source, "hold one stream", f"the stream {number}")

    def _pdf(self, weight: float) -> _Component:
        """Return the component here."""
        if self.next.startswith("~"):
            refuse(self.source, "hold all numbers in one model", f"the macro {self.next}", _TIED)
        d = self.whole("<MEAN>")
        made = _Component(weight, self.vector("<Mean>", d), full=self.next == "<INVCOVAR>")
        if self.next in _LOST:
            refuse(self.source, "hold diagonal variances or inverse covariances", self.next)
        name = "<INVCOVAR>" if made.full else "<VARIANCE>"
        if (size := self.whole(name)) != d:
            malformed(self.source, f"hold {name} of {d} dimensions, as the mean has", str(size))
        if made.full:
            upper = self.vector("<InvCovar>", d * (d + 1) // 2)
            i, j = np.triu_indices(d)
            made.spread = np.empty((d, d))
            made.spread[i, j] = made.spread[j, i] = upper
        else:
            made.spread = self.vector("<Variance>", d)
        if self.next == "<GCONST>":
            self.take()
            made.constant = float(self.vector("<GConst>", 1)[0])
        return made


def _constants(gmm: GMM) -> Array:
    """Return D log(2 pi) + log det C_k, shape (K,)."""
    at_means = gmm.covariance.log_components(np.zeros((1, gmm.n_dimensions)), np.zeros(gmm.means.shape))[0]
    return np.asarray(-2 * at_means)


def _triangle(matrix: Array) -> str:
    """Return the upper triangle of an inverse covariance."""
    rows = "".join(f" {spelled(row[i:])}\n" for i, row in enumerate(matrix))
    return f"<INVCOVAR> {len(matrix)}\n{rows}"
