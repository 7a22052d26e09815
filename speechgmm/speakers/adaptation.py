"""A System moved to other microphones by unlabeled recordings of them: whoever speaks, what is common is how it sounds.

The statistics of all recordings are pooled, and the means of the UBM adapted to them. The cohort of a calibration is
held relative to these means and moves with them.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from speechgmm.checks import number, refuse
from speechgmm.errors import Skipped
from speechgmm.features import Extracted, Sound, extract_all
from speechgmm.mixture import Statistics
from speechgmm.mixture.adapt import moved
from speechgmm.parallel import Progress, total
from speechgmm.speakers.system import System
from speechgmm.speakers.train import Training

RELEVANCE = 100.0
"""Frames that the UBM counts for in each component: recordings of many people are many frames, and may move it far."""
UNMEASURED = (
    "how often strangers are accepted was measured before this adaptation, on other recordings; "
    "measure it on your own: score and evaluate"
)


def adapt_system(
    system: System,
    recordings: Iterable[Sound],
    *,
    relevance: float = RELEVANCE,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> Training:
    """Adapt a system to the microphones, rooms and language of recordings.

    Nobody needs to know who speaks in them. Let it be several people, for what is common to the recordings is taken for
    what is common to everybody: a system that was adapted to one person takes that person for a stranger. Speakers
    have to be enrolled again with the result, which has another fingerprint.

    Parameters
    ----------
    system : System
    recordings : iterable of paths, signals or recordings
        One that cannot be used is left out and reported.
    relevance : float
        How many frames the UBM counts for in each component. The `System.relevance` of speakers stays as it is.
    n_threads, on_progress
        See `speechgmm.features.extract_all`.

    Returns
    -------
    Training
        The adapted system, whose ``info["adapted"]`` says to what; what was left out; and what to doubt. The
        calibration is the old one, without the error rates, which were measured on other recordings.

    Raises
    ------
    InvalidInput
        If no recording can be used; the first reason is given.

    Examples
    --------
    >>> import speechgmm
    >>> corpus = speechgmm.read_corpus("data/manifest.csv").where(split="ubm")
    >>> training = adapt_system(speechgmm.default_system(), list(corpus)[:2])
    >>> training.skipped, training.system.fingerprint == speechgmm.default_system().fingerprint
    ((), False)
    """
    number(relevance, "relevance", minimum=0.0, maximum=1e9, unit=" frames")

    def heard(e: Extracted) -> tuple[Extracted, Statistics | None]:
        return replace(e, features=None), None if e.error else total(map(system.ubm.statistics, e.blocks()))

    pooled: Statistics | None = None
    used, seconds, skipped = 0, 0.0, list[Skipped]()
    for e, statistics in extract_all(system.frontend, recordings, heard, n_threads=n_threads, on_progress=on_progress):
        if statistics is None:
            skipped.append(Skipped(e.name, str(e.error)))
            continue
        pooled = statistics if pooled is None else pooled + statistics
        used, seconds = used + 1, seconds + e.speech_seconds
    if pooled is None:
        found = f"none of {len(skipped)}" + (f"; the first: {skipped[0].reason}" if skipped else "")
        refuse("recordings to adapt to", "be at least one that can be used", found)
    told = {
        "from": system.fingerprint,
        "recordings": used,
        "skipped": len(skipped),
        "speech_seconds": round(seconds, 2),
        "relevance": float(relevance),
    }
    return _moved(system, pooled, told, tuple(skipped))


def _moved(system: System, pooled: Statistics, told: dict[str, Any], skipped: tuple[Skipped, ...]) -> Training:
    """Return the system with its means adapted to pooled statistics, and with what is told of that."""
    ubm = moved(system.ubm, pooled, told["relevance"])
    before = system.info.get("adapted", ())
    info = {**system.info, "adapted": (*(before if isinstance(before, tuple) else (before,)), told)}
    calibration = system.calibration and replace(system.calibration, measured={})
    warnings = (UNMEASURED,) if calibration else ()
    return Training(replace(system, ubm=ubm, calibration=calibration, info=info), skipped, warnings)
