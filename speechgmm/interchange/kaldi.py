r"""Mixtures in the text format of Kaldi: `DiagGmm` (``final.dubm``) and `FullGmm` (``final.ubm``).

Kaldi (Povey et al. 2011, "The Kaldi speech recognition toolkit"; ``src/gmm/diag-gmm.cc`` and ``full-gmm.cc``, methods
``Write`` and ``Read``) keeps a component in its natural parameters, so that a log density is linear in [x, x x']:

    log(w_k N(x; m_k, C_k)) = g_k + x' inv(C_k) m_k - x' inv(C_k) x / 2,
    g_k = log w_k - (D log(2 pi) + log det C_k + m_k' inv(C_k) m_k) / 2

``<MEANS_INVVARS>`` or ``<MEANS_INVCOVARS>`` are the rows inv(C_k) m_k, ``<INV_VARS>`` the diagonals of inv(C_k),
``<INV_COVARS>`` their lower triangles, and ``<GCONSTS>`` the g_k, which Kaldi computes anew when it reads.
Symbols: K components, D dimensions.
"""

import os
import re

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

MIXTURE_FILE = Kind("a mixture in Kaldi's text format", starts_with(b"<DiagGMM>", b"<FullGMM>"))
_WHAT = "a mixture in Kaldi's text format"
_TOKEN = re.compile(r"\s*(<[^<>\s\[\]]{1,40}>)")
_ENDS = {"<DiagGMM>": "</DiagGMM>", "<FullGMM>": "</FullGMM>"}
_FORMER = {"<DiagGMMBegin>": "<DiagGMM>", "<FullGMMBegin>": "<FullGMM>"}
_FORMER_ENDS = {"<DiagGMMEnd>": "</DiagGMM>", "<FullGMMEnd>": "</FullGMM>"}
_BINARY = "Make it text: gmm-global-copy --binary=false final.dubm text.dubm (of a full one: fgmm-global-copy)."


def read_kaldi(path: str | os.PathLike[str]) -> GMM:
    """Read a mixture that Kaldi wrote as text.

    Parameters
    ----------
    path : path
        As ``gmm-global-copy --binary=false`` or ``fgmm-global-copy --binary=false`` write it.

    Returns
    -------
    GMM
        Of `Diagonal` or `Full` covariances, about the mean of the mixture.

    Raises
    ------
    InvalidInput
        If the file is missing, binary, cut, larger than 256 MB, or holds something else than one mixture; if a number
        is not finite, a variance not positive, a matrix not positive definite; or if ``<GCONSTS>`` are not those of the
        other parameters.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name, "ubm.txt")
    >>> numbers = "<GCONSTS> [ -5.265512 ] <WEIGHTS> [ 1 ] <MEANS_INVVARS> [ 2 ] <INV_VARS> [ 0.5 ]"
    >>> _ = place.write_text(f"<DiagGMM> {numbers} </DiagGMM>")
    >>> gmm = read_kaldi(place)
    >>> gmm.means.round(6).tolist(), gmm.covariance.variances.round(6).tolist()
    ([[4.0]], [[2.0]])
    >>> folder.cleanup()
    """
    source = os.fspath(path)
    text = read_text(path, _WHAT)
    if text.startswith("\0B"):
        refuse(source, "be text", "a binary file of Kaldi", _BINARY)
    file = _KaldiText(text, source)
    kind = _FORMER.get(first := file.token(), first)
    if kind not in _ENDS:
        refuse(source, "begin with <DiagGMM> or <FullGMM>, one mixture", f"{first or repr(text[:20])}")
    given = file.vector("<GCONSTS>") if file.follows("<GCONSTS>") else None
    weights = weights_of(file.vector("<WEIGHTS>"), source)
    full = kind == "<FullGMM>"
    scaled = file.rows("<MEANS_INVCOVARS>" if full else "<MEANS_INVVARS>", len(weights))
    covariance = _full(file, scaled.shape) if full else _diagonal(file, scaled.shape)
    if _FORMER_ENDS.get(end := file.token(), end) != _ENDS[kind] or file.rest():
        malformed(
            source, f"end with {_ENDS[kind]}", f"{end or 'the end of the file'} and {len(file.rest())} characters"
        )
    if isinstance(covariance, Diagonal):
        means = scaled * covariance.variances
    else:
        means = np.einsum("kij,kj->ki", covariance.dense(*scaled.shape), scaled)
    gmm = built(GMM, source, weights, means, covariance)
    if given is not None:
        if given.shape != weights.shape:
            malformed(source, f"hold {len(weights)} <GCONSTS>, as there are weights", str(len(given)))
        check_constants(given, _constants(gmm), source, "<GCONSTS>")
    return gmm


def write_kaldi(gmm: GMM, path: str | os.PathLike[str]) -> None:
    """Write a mixture as text that Kaldi reads.

    Numbers are printed with as many digits as a double needs. Components of weight 0, whose constants are infinite, are
    left out. Spherical covariances become diagonal ones, tied ones full ones, for Kaldi has no others.

    Parameters
    ----------
    gmm : GMM
    path : path
        An existing file is replaced if it is such a mixture.

    Raises
    ------
    InvalidInput
        If it is no single mixture, or the file must not or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.interchange import read_kaldi
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_kaldi(GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]])), f"{folder.name}/ubm.txt")
    >>> read_kaldi(f"{folder.name}/ubm.txt").covariance.variances.round(6).tolist()
    [[1.0], [4.0]]
    >>> folder.cleanup()
    """
    gmm = one_mixture(gmm)
    names = ("DiagGMM", "VAR") if isinstance(gmm.covariance, Independent) else ("FullGMM", "COVAR")
    lines = [f"<{names[0]}> \n", f"<GCONSTS>  [ {spelled(_constants(gmm))} ]\n"]
    lines += [f"<WEIGHTS>  [ {spelled(gmm.weights)} ]\n", f"<MEANS_INV{names[1]}S>  [\n"]
    if isinstance(gmm.covariance, Independent):
        precisions = 1 / gmm.covariance.variances_of(*gmm.means.shape)
        lines += [_block(gmm.means * precisions), "<INV_VARS>  [\n", _block(precisions)]
    else:
        precisions = dense_precisions(gmm)
        lines += [_block(np.einsum("kij,kj->ki", precisions, gmm.means)), "<INV_COVARS>  "]
        lines += ["[\n" + _block([row[: i + 1] for i, row in enumerate(matrix)]) for matrix in precisions]
    write_text(path, MIXTURE_FILE, [*lines, f"</{names[0]}> \n"])


class _KaldiText:
    """A place in a file: tokens and numbers between brackets, one after the other."""

    def __init__(self, text: str, source: str) -> None:
        self._text, self._at, self.source = text, 0, source

    def token(self) -> str:
        """Return the token here, and go behind it; nothing where there is none."""
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        return found[1]

    def follows(self, name: str) -> bool:
        """Return whether this token is the next one."""
        found = _TOKEN.match(self._text, self._at)
        return found is not None and found[1] == name

    def rest(self) -> str:
        """Return what is left, without space."""
        return self._text[self._at :].strip()

    def expect(self, name: str) -> None:
        """Go behind the token of this name."""
        if (found := self.token()) != name:
            malformed(self.source, f"hold {name} here", found or repr(self._text[self._at : self._at + 20]))

    def bracket(self, name: str) -> list[list[str]]:
        """Return the words of each line between the brackets here, and go behind them."""
        begin = self._text.find("[", self._at)
        end = self._text.find("]", self._at)
        if begin < 0 or end < begin or self._text[self._at : begin].strip():
            malformed(self.source, f"hold {name} between brackets", repr(self._text[self._at : self._at + 20]))
        self._at = end + 1
        return [words for line in self._text[begin + 1 : end].split("\n") if (words := line.split())]

    def vector(self, name: str) -> Array:
        """Return the numbers behind this token; a constant of a component of weight 0 may be minus infinity."""
        self.expect(name)
        words = [word for line in self.bracket(name) for word in line]
        if name == "<GCONSTS>":
            words = ["0" if word == "-inf" else word for word in words]
        return numbers(words, self.source, name)

    def rows(self, name: str, k: int) -> Array:
        """Return the matrix of K rows behind this token."""
        self.expect(name)
        lines = self.bracket(name)
        if len(lines) != k or len({len(line) for line in lines}) != 1:
            sizes = sorted({len(line) for line in lines})
            rule = f"hold {k} rows of one length as {name}, as there are weights"
            malformed(self.source, rule, f"{len(lines)} of {' and '.join(map(str, sizes[:4]))} numbers")
        return numbers([word for line in lines for word in line], self.source, name).reshape(k, -1)


def _diagonal(file: _KaldiText, shape: tuple[int, ...]) -> Covariance:
    """Return the variances that stand here as their inverses."""
    precisions = file.rows("<INV_VARS>", shape[0])
    if precisions.shape != shape or precisions.min() <= 0:
        rule = f"hold positive <INV_VARS> of shape {shape}"
        malformed(file.source, rule, f"shape {precisions.shape}, minimum {precisions.min():g}")
    with np.errstate(over="ignore"):  # what is infinite is refused
        return built(Diagonal, file.source, 1 / precisions)


def _full(file: _KaldiText, shape: tuple[int, ...]) -> Covariance:
    """Return the covariance matrices that stand here as lower triangles of their inverses."""
    k, d = shape
    file.expect("<INV_COVARS>")
    i, j = np.tril_indices(d)
    precisions = np.empty((k, d, d))
    for matrix in precisions:
        words = [word for line in file.bracket("<INV_COVARS>") for word in line]
        if len(words) != len(i):
            malformed(file.source, f"hold {len(i)} numbers for each matrix of <INV_COVARS>", str(len(words)))
        matrix[i, j] = matrix[j, i] = numbers(words, file.source, "<INV_COVARS>")
    return inverted(precisions, file.source, "<INV_COVARS>")


def _constants(gmm: GMM) -> Array:
    """Return g_k, shape (K,): the log densities at 0, with the weights."""
    with np.errstate(divide="ignore"):
        weights = np.log(gmm.weights)
    return np.asarray(weights + gmm.covariance.log_components(np.zeros((1, gmm.n_dimensions)), gmm.means)[0])


def _block(rows: "Array | list[Array]") -> str:
    """Return rows of numbers as Kaldi prints them between brackets, the first of which is there."""
    return "\n".join(f"  {spelled(row)}" for row in rows) + " ]\n"
