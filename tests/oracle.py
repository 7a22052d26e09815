"""A slow, paper-faithful diagonal GMM in plain loops over Python floats: what the package is compared with.

Nothing here is shared with the package. Frames, means and variances are lists of lists of float; sums are exact
(`math.fsum`). Symbols: N frames, K components, D dimensions.

References: C. M. Bishop, "Pattern Recognition and Machine Learning" (2006), eq. 9.23 to 9.26;
D. A. Reynolds, T. F. Quatieri and R. B. Dunn, "Speaker verification using adapted Gaussian mixture models" (2000).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Row = list[float]
Matrix = list[Row]


class Mixture(NamedTuple):
    """Weights (K), means (K, D) and variances (K, D)."""

    weights: Row
    means: Matrix
    variances: Matrix


class Moments(NamedTuple):
    """Sums over frames of posterior * 1, posterior * (x - origin), posterior * (x - origin)**2, and of log p(x)."""

    counts: Row
    first: Matrix
    second: Matrix
    log_likelihood: float


def rows(x: Iterable[Iterable[float]]) -> Matrix:
    """Turn any matrix into a list of lists of Python floats."""
    return [[float(value) for value in row] for row in x]


def log_joint(x: Sequence[float], mixture: Mixture) -> Row:
    """log(w_k N(x; m_k, v_k)) for every component, -inf where the weight is 0."""
    result = []
    for weight, mean, variance in zip(*mixture, strict=True):
        if weight == 0:
            result.append(-math.inf)
            continue
        terms = [math.log(2 * math.pi * v) + (a - m) ** 2 / v for a, m, v in zip(x, mean, variance, strict=True)]
        result.append(math.log(weight) - 0.5 * math.fsum(terms))
    return result


def log_density(x: Sequence[float], mixture: Mixture) -> float:
    """log p(x), one frame."""
    joint = log_joint(x, mixture)
    top = max(joint)
    return top + math.log(math.fsum(math.exp(j - top) for j in joint))


def posteriors(x: Sequence[float], mixture: Mixture) -> Row:
    """Bishop eq. 9.23, one frame."""
    total = log_density(x, mixture)
    return [math.exp(j - total) for j in log_joint(x, mixture)]


def statistics(frames: Matrix, mixture: Mixture, origin: Sequence[float]) -> Moments:
    """The E-step: moments about `origin`."""
    gamma = [posteriors(x, mixture) for x in frames]
    k, d = len(mixture.weights), len(origin)
    counts = [math.fsum(g[i] for g in gamma) for i in range(k)]
    pairs = list(zip(gamma, frames, strict=True))
    first = [[math.fsum(g[i] * (x[j] - origin[j]) for g, x in pairs) for j in range(d)] for i in range(k)]
    second = [[math.fsum(g[i] * (x[j] - origin[j]) ** 2 for g, x in pairs) for j in range(d)] for i in range(k)]
    return Moments(counts, first, second, math.fsum(log_density(x, mixture) for x in frames))


def em_step(frames: Matrix, mixture: Mixture, *, absolute: float = 0.0, relative: float = 0.0) -> Mixture:
    """Bishop eq. 9.24 to 9.26 in two passes: the variances are taken about the *new* means, then floored.

    Every component must count some frames.
    """
    gamma = [posteriors(x, mixture) for x in frames]
    minimum = [max(absolute, relative * v) for v in variance(frames)]
    weights, means, variances = [], [], []
    for i in range(len(mixture.weights)):
        share = [g[i] for g in gamma]
        count = math.fsum(share)
        mean = [math.fsum(s * a for s, a in zip(share, column, strict=True)) / count for column in columns(frames)]
        spread = [
            math.fsum(s * (a - m) ** 2 for s, a in zip(share, column, strict=True)) / count
            for column, m in zip(columns(frames), mean, strict=True)
        ]
        weights.append(count / len(frames))
        means.append(mean)
        variances.append([max(v, low) for v, low in zip(spread, minimum, strict=True)])
    return Mixture(weights, means, variances)


def em(frames: Matrix, start: Mixture, steps: int, *, absolute: float = 0.0, relative: float = 0.0) -> Mixture:
    """EM of so many steps from a start."""
    mixture = start
    for _ in range(steps):
        mixture = em_step(frames, mixture, absolute=absolute, relative=relative)
    return mixture


def map_adapt(frames: Matrix, ubm: Mixture, relevance: float, update: str) -> Mixture:
    """Reynolds eq. 11 to 14, letter by letter: `update` holds any of w, m, v.

    Variances are floored at a thousandth of the UBM's own. Relevance must be above 0.
    """
    s = statistics(frames, ubm, [0.0] * len(ubm.means[0]))
    weights, means, variances = [], [], []
    for i, n in enumerate(s.counts):
        alpha = n / (n + relevance)  # eq. 14
        weights.append(alpha * n / len(frames) + (1 - alpha) * ubm.weights[i] if frames else ubm.weights[i])  # eq. 11
        mean, spread = [], []
        for j, (m, v) in enumerate(zip(ubm.means[i], ubm.variances[i], strict=True)):
            ex, ex2 = (s.first[i][j] / n, s.second[i][j] / n) if n else (m, v + m**2)
            new = alpha * ex + (1 - alpha) * m  # eq. 12
            mean.append(new)
            spread.append(max(alpha * ex2 + (1 - alpha) * (v + m**2) - new**2, 1e-3 * v))  # eq. 13
        means.append(mean)
        variances.append(spread)
    total = math.fsum(weights)
    return Mixture(
        [w / total for w in weights] if "w" in update else ubm.weights,
        means if "m" in update else ubm.means,
        variances if "v" in update else ubm.variances,
    )


def log_prior(means: Matrix, ubm: Mixture, relevance: float) -> float:
    """The log prior of MAP means up to a constant: -r/2 sum (m - mu)**2 / v."""
    terms = [
        (m - mu) ** 2 / v
        for row, centers, spreads in zip(means, ubm.means, ubm.variances, strict=True)
        for m, mu, v in zip(row, centers, spreads, strict=True)
    ]
    return -0.5 * relevance * math.fsum(terms)


def llr(frames: Matrix, speaker: Mixture, ubm: Mixture) -> float:
    """The score of a test: the mean over frames of log p(x | speaker) - log p(x | UBM)."""
    return math.fsum(log_density(x, speaker) - log_density(x, ubm) for x in frames) / len(frames)


def variance(frames: Matrix) -> Row:
    """The variance of all frames about their mean, in two passes."""
    means = [math.fsum(c) / len(c) for c in columns(frames)]
    return [math.fsum((a - m) ** 2 for a in c) / len(c) for c, m in zip(columns(frames), means, strict=True)]


def columns(frames: Matrix) -> list[Row]:
    """The transpose."""
    return [list(c) for c in zip(*frames, strict=True)]


class Gaussians(NamedTuple):
    """Weights (K), means (K, D) and covariance matrices (K, D, D): every kind of covariance as matrices."""

    weights: Row
    means: Matrix
    covariances: list[Matrix]


def inverse(a: Matrix) -> tuple[Matrix, float]:
    """The inverse and log |det| of a matrix, by Gauss-Jordan elimination with pivoting."""
    n = len(a)
    work = [[*row, *(float(i == j) for j in range(n))] for i, row in enumerate(a)]
    log_determinant = 0.0
    for i in range(n):
        best = max(range(i, n), key=lambda r: abs(work[r][i]))
        work[i], work[best] = work[best], work[i]
        pivot = work[i][i]
        log_determinant += math.log(abs(pivot))
        work[i] = [v / pivot for v in work[i]]
        for r in range(n):
            if r != i:
                factor = work[r][i]
                work[r] = [v - factor * w for v, w in zip(work[r], work[i], strict=True)]
    return [row[n:] for row in work], log_determinant


def conditional(x: Row, mean: Row, covariance: Matrix) -> tuple[float, Row, Matrix]:
    """The log density of the entries of `x` that are not NaN, `x` with the others expected, and their covariance."""
    seen = [i for i, v in enumerate(x) if not math.isnan(v)]
    inner, log_determinant = inverse([[covariance[i][j] for j in seen] for i in seen])
    difference = [x[i] - mean[i] for i in seen]
    solved = [math.fsum(a * b for a, b in zip(row, difference, strict=True)) for row in inner]
    square = math.fsum(a * b for a, b in zip(difference, solved, strict=True))
    log_density_ = -0.5 * (len(seen) * math.log(2 * math.pi) + log_determinant + square)
    d = len(x)
    filled = [
        x[i] if i in seen else mean[i] + math.fsum(covariance[i][j] * s for j, s in zip(seen, solved, strict=True))
        for i in range(d)
    ]
    rest = [[0.0] * d for _ in range(d)]
    for i in range(d):
        for j in range(d):
            if i not in seen and j not in seen:
                explained = math.fsum(
                    covariance[i][a] * inner[p][q] * covariance[b][j]
                    for p, a in enumerate(seen)
                    for q, b in enumerate(seen)
                )
                rest[i][j] = covariance[i][j] - explained
    return log_density_, filled, rest


def gaussian_posteriors(x: Row, mixture: Gaussians) -> tuple[Row, float]:
    """Posteriors and log density of one frame, NaN entries left out."""
    joint = [math.log(w) + conditional(x, m, c)[0] for w, m, c in zip(*mixture, strict=True)]
    top = max(joint)
    total = top + math.log(math.fsum(math.exp(j - top) for j in joint))
    return [math.exp(j - total) for j in joint], total


def gaussian_step(frames: Matrix, mixture: Gaussians, kind: str, shares: Row | None = None) -> Gaussians:
    """One step of EM for "full", "tied", "diag" or "spherical"; NaN entries are expected, frames count `shares`."""
    d, ks = len(mixture.means[0]), range(len(mixture.weights))
    shares = [1.0] * len(frames) if shares is None else shares
    gamma = [[s * p for p in gaussian_posteriors(x, mixture)[0]] for x, s in zip(frames, shares, strict=True)]
    counts = [math.fsum(g[k] for g in gamma) for k in ks]
    means, matrices = [], []
    for k in ks:
        parts = [conditional(x, mixture.means[k], mixture.covariances[k]) for x in frames]
        pairs = [(g[k], filled, rest) for g, (_, filled, rest) in zip(gamma, parts, strict=True)]
        mean = [math.fsum(g * f[i] for g, f, _ in pairs) / counts[k] for i in range(d)]
        means.append(mean)
        matrices.append(
            [
                [
                    math.fsum(g * ((f[i] - mean[i]) * (f[j] - mean[j]) + r[i][j]) for g, f, r in pairs) / counts[k]
                    for j in range(d)
                ]
                for i in range(d)
            ]
        )
    return Gaussians([n / math.fsum(counts) for n in counts], means, _restricted(matrices, counts, kind))


def _restricted(matrices: list[Matrix], counts: Row, kind: str) -> list[Matrix]:
    """What a kind of covariance keeps of full matrices."""
    d, total = len(matrices[0]), math.fsum(counts)
    if kind == "tied":
        shared = [
            [math.fsum(n * m[i][j] for n, m in zip(counts, matrices, strict=True)) / total for j in range(d)]
            for i in range(d)
        ]
        return [shared for _ in matrices]
    if kind == "full":
        return matrices
    diagonals = [[m[i][i] for i in range(d)] for m in matrices]
    if kind == "spherical":
        diagonals = [[math.fsum(v) / d] * d for v in diagonals]
    return [[[v[i] if i == j else 0.0 for j in range(d)] for i in range(d)] for v in diagonals]
