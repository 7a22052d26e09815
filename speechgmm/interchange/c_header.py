"""Mixtures and whole scorers as one C header: constants, and a scorer in plain C99 beside them.

The header needs ``<float.h>``, ``<math.h>`` and ``<stddef.h>`` alone, allocates nothing, and keeps no state. Frames are
float, as front ends give them; constants are double, and so is all arithmetic: log densities are within 1e-11 nats of
Python's in float64 (`recipes/benchmarks/interchange.py`), where float constants would lose what narrow components far
from 0 need. Differences are taken before they are squared, and a log density is a running log-sum-exp, so that no frame
overflows. With the prefix ``gmm`` it defines

* ``gmm_log_density(frame)`` of a mixture or a background model; or, of speakers and classes,
* ``gmm_scores(frames, n, scores)``: for n >= 1 frames, row after row, of speakers the mean log-likelihood ratios
  against the background, in nats per frame, of classes the mean log densities;
* ``gmm_llr(frames, n, llr)``, of the speakers of a calibrated store: the calibrated log-likelihood ratios of one
  recording; ``gmm_log_posteriors(frames, n, log_posteriors)`` of calibrated classes;
* ``GMM_DIMENSIONS`` and, with labels, ``GMM_LABELS`` and ``gmm_labels`` (UTF-8).

Symbols: N frames, M models, P mixtures of a model, K components, D features, S speakers or classes, C cohort.
"""

import os
import re
import string
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

import numpy as np

from speechgmm import __version__
from speechgmm.checks import Array, refuse
from speechgmm.files import Kind
from speechgmm.files import starts_with as begins
from speechgmm.interchange.exported import Exportable, ExportedScorer, LLRMap, exported_scorer, log_constants, whitening
from speechgmm.interchange.text import write_text
from speechgmm.mixture import GMM
from speechgmm.mixture.covariance import Independent

HEADER_FILE = Kind("a C header that speechgmm wrote", begins(b"/* Written by speechgmm"))
MOST_NUMBERS = 20_000_000
"""Numbers that a header holds at most: it is text, some 20 bytes for each."""
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,40}")
_PLAIN = frozenset((string.ascii_letters + string.digits + " _-.").encode())
"""Characters of a label that stand in a C string as they are."""
SCORER_BEGINS = "/* The scorer. */\n"
"""The line behind which the header is the scorer, to its end."""


def write_c_header(thing: Exportable, path: str | os.PathLike[str], *, prefix: str | None = None) -> ExportedScorer:
    """Write a mixture, a background model, enrolled speakers or classes as one C header.

    Parameters
    ----------
    thing : GMM, Ensemble, System, Scorer or AudioClassifier
        See `write_onnx`.
    path : path
        An existing file is replaced if it is such a header.
    prefix : str, optional
        What the names in the header begin with: a letter, then letters, digits and underscores. Default: the name of
        the file, as far as it is one.

    Returns
    -------
    ExportedScorer
        What was written.

    Raises
    ------
    InvalidInput
        If it cannot be exported, holds more than 20 million numbers, the prefix cannot begin a name, or the file must
        not or cannot be written.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> folder = tempfile.TemporaryDirectory()
    >>> place = pathlib.Path(folder.name, "gmm.h")
    >>> written = write_c_header(GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]])), place, prefix="gmm")
    >>> written.outputs, "gmm_" in place.read_text()
    (('log_density',), True)
    >>> folder.cleanup()
    """
    named = prefix_of(path, prefix)
    exported = exported_scorer(thing)
    if (numbers := _size(exported)) > MOST_NUMBERS:
        found, advice = f"{numbers}", "Export fewer speakers, or export ONNX."
        refuse("a C header", f"hold at most {MOST_NUMBERS} numbers", found, advice)
    write_text(path, HEADER_FILE, (part.replace("@U", named.upper()).replace("@", named) for part in _parts(exported)))
    return exported


def prefix_of(path: str | os.PathLike[str], prefix: str | None) -> str:
    """Return what the names in a header begin with: the prefix, or as much of the name of the file as may be one."""
    if prefix is None:
        name = re.sub(r"[^A-Za-z0-9_]", "_", Path(os.fspath(path)).stem)
        return name.lstrip("_0123456789")[:40].rstrip("_") or "gmm"
    if not (isinstance(prefix, str) and _PREFIX.fullmatch(prefix)):
        refuse("prefix", "be a letter, then up to 40 letters, digits and underscores", repr(prefix))
    return prefix


def _size(exported: ExportedScorer) -> int:
    """Return about how many numbers a header holds: means of all mixtures, and what is known of each covariance."""
    every = [part for model in exported.models for part in model]
    spreads = {id(p.covariance): p.means.size * (1 if p.covariance.independent else p.n_dimensions) for p in every}
    return sum(p.means.size for p in every) + sum(spreads.values())


def _parts(exported: ExportedScorer) -> Iterator[str]:
    """Yield the parts of a header, in which @ stands for the prefix and @U for it in capital letters."""
    yield f"/* Written by speechgmm {__version__}. Frames are float, constants and arithmetic double.\n"
    for name, value in sorted(exported.facts.items()):
        yield f"   {name}: {_harmless(value)}\n"
    yield " */\n#ifndef @U_H\n#define @U_H\n\n#include <float.h>\n#include <math.h>\n#include <stddef.h>\n\n"
    yield f"#define @U_DIMENSIONS {exported.n_dimensions}\n"
    if exported.labels:
        yield f"#define @U_LABELS {len(exported.labels)}\n\n"
        yield "static const char *const @_labels[] = {\n"
        yield from (f'    "{_escaped(label)}",\n' for label in exported.labels)
        yield "};\n"
    yield from _constants(exported)
    yield SCORER_BEGINS
    yield _scorer(exported)
    yield "\n#endif\n"


def _constants(exported: ExportedScorer) -> Iterator[str]:
    """Yield the arrays of all mixtures, one behind the other; covariances that models share stand there once."""
    every = [part for model in exported.models for part in model]
    independent, rows = _independent(exported), 0
    spreads, packed = dict[int, int](), list[Array]()
    for part in every:
        if id(part.covariance) not in spreads:
            spreads[id(part.covariance)] = rows
            packed.append(_spread(part, independent=independent))
            rows += len(packed[-1])
    yield f"static const int @_first[] = {{{_listed(accumulate([0, *(p.n_components for p in every)]))}}};\n"
    yield f"static const int @_spread_first[] = {{{_listed(spreads[id(p.covariance)] for p in every)}}};\n"
    steps = (int(independent or not p.covariance.shared) for p in every)
    yield f"static const int @_spread_step[] = {{{_listed(steps)}}};\n"
    yield f"static const int @_column[] = {{{_listed(exported.columns)}}};\n"
    yield from _array("share", exported.shares[:, None])
    yield from _array("constant", *(log_constants(p)[:, None] for p in every))
    yield from _array("mean", *(p.means for p in every))
    yield from _array("spread", *packed)
    if exported.llr is not None:
        m = exported.llr
        yield from _array("amounts", np.concatenate([m.location, m.proportion, m.scale], axis=1))
    if exported.posterior is not None:
        yield from _array("offset", exported.posterior[1][:, None])
    yield "\n"


def _independent(exported: ExportedScorer) -> bool:
    """Return whether the features of all mixtures are independent."""
    return all(isinstance(part.covariance, Independent) for model in exported.models for part in model)


def _spread(part: GMM, *, independent: bool) -> Array:
    """Return a row for each component: inverse deviations, or the lower triangle of the inverse Cholesky factor.

    Of a matrix that all components share there is one row.
    """
    if independent:
        return np.asarray(1 / np.broadcast_to(part.covariance.deviations(), part.means.shape))
    i, j = np.tril_indices(part.n_dimensions)
    return whitening(part).swapaxes(1, 2)[:, i, j]


def _array(name: str, *blocks: Array) -> Iterator[str]:
    """Yield an array of doubles, a line for each row of some matrices."""
    yield f"static const double @_{name}[] = {{\n"
    for block in blocks:
        yield from (f"    {', '.join(map(repr, row))},\n" for row in block.tolist())
    yield "};\n"


def _listed(values: "Iterator[int] | tuple[int, ...]") -> str:
    return ", ".join(map(str, values))


def _harmless(text: str) -> str:
    """Return ASCII text, or JSON, for a comment: without what ends one, begins another or stands for the prefix."""
    for character in "/?@":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _escaped(label: str) -> str:
    """Return a label as a C string: letters, digits and some signs as they are, all other bytes as octal numbers."""
    return "".join(chr(b) if b in _PLAIN else f"\\{b:03o}" for b in label.encode())


def _scorer(exported: ExportedScorer) -> str:
    """Return the functions that this scorer needs."""
    independent, d = _independent(exported), exported.models[0][0].n_dimensions
    code = _MIXTURE.replace("SQUARE", _INDEPENDENT if independent else _CORRELATED)
    code = code.replace("SIZE", str(d if independent else d * (d + 1) // 2))
    code = code.replace("PARTS", str(len(exported.columns))).replace("FEATURES", str(d))
    if not exported.labels:
        return code + _DENSITY
    code += _SCORES_BACKGROUND if exported.background else _SCORES
    if exported.llr is not None:
        code += _llr_code(exported.llr)
    if exported.posterior is not None:
        code += _POSTERIORS.replace("SCALE", repr(float(exported.posterior[0])))
    return code


def _llr_code(m: LLRMap) -> str:
    """Return the function of calibrated LLRs; without a cohort, ratios are taken as they are."""
    numbers = {"SLOPE": m.slope, "OFFSET": m.offset, "HOP": m.hop_length, "LOW": m.low, "HIGH": m.high}
    code = _LLR.replace("COHORT_CODE", _COHORT.replace("COHORT", str(m.cohort)) if m.cohort else "")
    for name in sorted(numbers, key=len, reverse=True):
        code = code.replace(f"${name}", f"({numbers[name]!r})")
    return code


_INDEPENDENT = """\
            double z = (x[d] - mean[d]) * spread[d];
"""
_CORRELATED = """\
            double z = 0.0;
            for (int e = 0; e <= d; e++)
                z += *spread++ * (x[e] - mean[e]);
"""
_MIXTURE = """\
static inline double @_mixture(const float *x, int j)
{
    double top = -DBL_MAX, sum = 0.0;
    for (int k = @_first[j]; k < @_first[j + 1]; k++) {
        const double *mean = @_mean + (size_t)k * FEATURES;
        const double *spread = @_spread + (size_t)(@_spread_first[j] + (k - @_first[j]) * @_spread_step[j]) * SIZE;
        double square = 0.0;
        for (int d = 0; d < FEATURES; d++) {
SQUARE            square += z * z;
        }
        double joint = @_constant[k] - 0.5 * square;
        if (joint > top) {
            sum = sum * exp(top - joint) + 1.0;
            top = joint;
        } else
            sum += exp(joint - top);
    }
    return top + log(sum);
}

static inline double @_model(const float *frame, int m)
{
    double density = 0.0;
    for (int p = 0; p < PARTS; p++)
        density += @_share[p] * @_mixture(frame + @_column[p], m * PARTS + p);
    return density;
}
"""
_DENSITY = """
static inline double @_log_density(const float *frame)
{
    return @_model(frame, 0);
}
"""
_MEAN = """
static inline double @_mean_density(const float *frames, int n, int m)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += @_model(frames + (size_t)i * @U_DIMENSIONS, m);
    return sum / n;
}
"""
_SCORES = (
    _MEAN
    + """
static inline void @_scores(const float *frames, int n, double *scores)
{
    for (int s = 0; s < @U_LABELS; s++)
        scores[s] = @_mean_density(frames, n, s);
}
"""
)
_SCORES_BACKGROUND = (
    _MEAN
    + """
static inline void @_scores(const float *frames, int n, double *scores)
{
    double background = @_mean_density(frames, n, 0);
    for (int s = 0; s < @U_LABELS; s++)
        scores[s] = @_mean_density(frames, n, s + 1) - background;
}
"""
)
_COHORT = """\
    double mean = 0.0, spread = 0.0, background = @_mean_density(frames, n, 0);
    for (int c = 0; c < COHORT; c++) {
        double z = @_mean_density(frames, n, @U_LABELS + 1 + c) - background, off = z - mean;
        mean += off / (c + 1);
        spread += off * (z - mean);
    }
    double deviation = sqrt(spread / COHORT);
    for (int s = 0; s < @U_LABELS; s++)
        llr[s] = (llr[s] - mean) / deviation;
    level = mean / deviation;
"""
_LLR = """
static inline void @_llr(const float *frames, int n, double *llr)
{
    double u = log(fmin(fmax(n * $HOP, $LOW), $HIGH)), level = 0.0;
    @_scores(frames, n, llr);
COHORT_CODE    for (int s = 0; s < @U_LABELS; s++) {
        const double *a = @_amounts + 6 * s;
        double location = a[0] + a[1] * u + (a[2] + a[3] * u) * level;
        llr[s] = $SLOPE * (llr[s] - location) / exp(a[4] + a[5] * u) + $OFFSET;
    }
}
"""
_POSTERIORS = """
static inline void @_log_posteriors(const float *frames, int n, double *log_posteriors)
{
    double top = -DBL_MAX, sum = 0.0;
    @_scores(frames, n, log_posteriors);
    for (int s = 0; s < @U_LABELS; s++) {
        log_posteriors[s] = SCALE * log_posteriors[s] + @_offset[s];
        top = fmax(top, log_posteriors[s]);
    }
    for (int s = 0; s < @U_LABELS; s++)
        sum += exp(log_posteriors[s] - top);
    for (int s = 0; s < @U_LABELS; s++)
        log_posteriors[s] -= top + log(sum);
}
"""
