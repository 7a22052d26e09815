"""One test of 3 seconds against 1000 enrolled speakers: exact, top-C and linear, beside a loop over scikit-learn.

With a corpus (--manifest, split=ubm for the background, enroll and test for 48 speakers; other recordings make up
the number) it also says in how many tests the rank of the true speaker is that of the exact ratio.

    python recipes/benchmarks/scoring.py [--manifest CSV] [--components 512] [--speakers 1000] [--json]
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from side_by_side import frames_of, measure, options, report
from sklearn.mixture import GaussianMixture

from speechgmm.features import MFCC, Extracted, common_rate, extract_all, read_corpus
from speechgmm.mixture import Floor, Statistics, Stop, fit_gmm
from speechgmm.speakers import (
    SpeakerModels,
    System,
    deviation,
    linear_ratios,
    log_likelihood_ratios,
    speaker_models,
    top_ratios,
)
from speechgmm.speakers.models import centered

FRAMES = 300
EXACT = "exact"
LOOP = 20
"""Models that the loop over scikit-learn's is timed with."""


def trained(x: np.ndarray, k: int, rate: int) -> System:
    """Return a system with a UBM of frames."""
    ubm = fit_gmm(x, k, stop=Stop(2e-3, 12), floor=Floor(relative=0.01, occupancy=5.0)).model
    return System(MFCC(sample_rate=rate), ubm)


def made(k: int, speakers: int) -> tuple[System, SpeakerModels, list[tuple[np.ndarray, str]]]:
    """Return a system, speakers and a test of made frames."""
    x = frames_of(None, 60_000 + 300 * speakers)
    system = trained(x[:60_000], k, 8000)
    enrolled = {f"s{i}": system.statistics(x[60_000 + 300 * i :][:300]) for i in range(speakers)}
    return system, speaker_models(system, enrolled), [(x[60_000 : 60_000 + FRAMES], "s0")]


def real(manifest: Path, k: int, speakers: int) -> tuple[System, SpeakerModels, list[tuple[np.ndarray, str]]]:
    """Return a system of split=ubm, its enrolled speakers, and the first 3 seconds of all tests that are so long."""
    corpus = read_corpus(manifest)
    frontend = MFCC(sample_rate=common_rate(corpus))

    def features(split: str) -> list[Extracted]:
        return [e for e in extract_all(frontend, corpus.where(split=split)) if e.features is not None]

    background = features("ubm")
    system = trained(np.concatenate([e.features for e in background]), k, frontend.sample_rate)
    enrolled: dict[str, Statistics] = {}
    for e in features("enroll"):
        s, name = system.statistics(e.features), e.recording.speaker
        enrolled[name] = enrolled[name] + s if name in enrolled else s
    long = [e for e in background if len(e.features) >= 20]
    pieces = [(f"{e.recording.name}/{half}", e.features[half::2]) for e in long for half in (0, 1)]
    more = {name: system.statistics(x) for name, x in pieces[: speakers - len(enrolled)]}
    tests = [(e.features[:FRAMES], e.recording.speaker) for e in features("test") if len(e.features) >= FRAMES]
    return system, speaker_models(system, enrolled | more), tests


def loop(models: SpeakerModels, x: np.ndarray) -> Callable[[], Any]:
    """Return a loop over scikit-learn's mixtures, each of them one speaker's model."""

    def peer(means: np.ndarray) -> GaussianMixture:
        model = GaussianMixture(len(means), covariance_type="diag")
        model.weights_, model.means_ = models.ubm.weights, means
        model.covariances_ = models.ubm.covariance.deviations() ** 2
        model.precisions_cholesky_ = 1 / models.ubm.covariance.deviations()
        return model

    peers = [peer(offsets + models.ubm.origin) for offsets in models.offsets[:LOOP]]
    double = x.astype(np.float64)
    return lambda: [p.score_samples(double).mean() for p in peers]


def product(models: SpeakerModels, x: np.ndarray) -> Callable[[], Any]:
    """Return the one matrix product that exact scores need at least, its threads left to the library."""
    linear = models.terms(np.float32).linear
    y = centered(x, models.ubm.origin, linear.dtype)
    joint = np.empty((len(y), linear.shape[2]), np.float32)

    def run() -> None:
        for one in linear:
            np.matmul(y, one, out=joint)

    return run


def ranks(scorer: Any, system: System, models: SpeakerModels, tests: list[tuple[np.ndarray, str]]) -> np.ndarray:
    """Return the rank of each test's true speaker, 0 the best."""
    places = {name: i for i, name in enumerate(models.names)}
    result = []
    for x, speaker in tests:
        scores = scorer(system, models, x)
        result.append((scores > scores[places[speaker]]).sum())
    return np.array(result)


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--components", type=int, default=512)
    parser.add_argument("--speakers", type=int, default=1000)
    given = parser.parse_args()
    k, n = given.components, given.speakers
    system, models, tests = real(given.manifest, k, n) if given.manifest else made(k, n)
    x = tests[0][0]
    scorers = {
        EXACT: log_likelihood_ratios,
        "top 20 components": functools.partial(top_ratios, n_components=20),
        "top 50 components": functools.partial(top_ratios, n_components=50),
        "top 100 components": top_ratios,
        "linear": linear_ratios,
    }
    jobs = {name: lambda f=f: f(system, models, x) for name, f in scorers.items()}
    jobs["exact, one thread"] = lambda: log_likelihood_ratios(system, models, x, n_threads=1)
    jobs["top 100 components, one thread"] = lambda: top_ratios(system, models, x, n_threads=1)
    jobs["the bare product of exact scores"] = product(models, x)
    jobs["loop over scikit-learn's models"] = loop(models, x)
    seconds = measure(jobs, given.rounds)
    seconds["loop over scikit-learn's models"] *= len(models.names) / min(LOOP, len(models.names))
    result: dict[str, Any] = {
        "of": f"{k} components, {len(models.names)} speakers, {FRAMES} frames",
        "seconds": seconds,
    }
    exact = ranks(log_likelihood_ratios, system, models, tests)
    for name, scorer in list(scorers.items())[1:]:
        found = ranks(scorer, system, models, tests)
        result[f"{name}: tests of {len(tests)} with the exact rank of the true speaker"] = float(
            (found == exact).mean()
        )
        result[f"{name}: tests with the exact answer to 'is it the first?'"] = float(
            ((found > 0) == (exact > 0)).mean()
        )
        worst = deviation(scorer, system, models, [t for t, _ in tests])
        result[f"{name}: largest deviation from the exact ratio, nats per frame"] = worst.largest
    report([result], EXACT, given.json)


if __name__ == "__main__":
    main()
