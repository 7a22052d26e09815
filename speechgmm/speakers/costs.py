"""What a rate of false accepts costs: the enrolled speakers' tests that are missed, by the speech in them."""

from dataclasses import dataclass

import numpy as np

from speechgmm.speakers.calibration import StoreNorm, SystemCalibration, amount
from speechgmm.speakers.enrolled import enrolled
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System

RATES = (0.01, 0.05, 0.1)
"""False accepts that are tabulated."""
SECONDS = (2.0, 5.0, 10.0, 30.0)
"""Seconds of speech in a test that are tabulated."""


@dataclass(frozen=True)
class Cost:
    """What one rate costs with one amount of speech.

    Parameters
    ----------
    speakers : int
        How many are enrolled, all of whom are searched.
    enroll_seconds, test_seconds : float
        Of speech, of one speaker and in a test.
    far : float
        The share of strangers that is accepted.
    missed : float
        The share of tests of enrolled speakers that stays below the threshold.
    extrapolated : bool
        Whether that threshold lies beyond what the calibration's data can support.
    """

    speakers: int
    enroll_seconds: float
    test_seconds: float
    far: float
    missed: float
    extrapolated: bool


def error_table(
    calibration: SystemCalibration, norm: StoreNorm, enroll_seconds: float, speakers: int
) -> tuple[Cost, ...]:
    """Return what each of `RATES` costs with each of `SECONDS`, for a search among so many speakers.

    Parameters
    ----------
    calibration : SystemCalibration
    norm : StoreNorm
        How high the impostors of the store come.
    enroll_seconds : float
        What one of them has enrolled.
    speakers : int
    """
    costs = []
    for far in RATES:
        limit = calibration.threshold(far, norm, speakers)
        for seconds in SECONDS:
            missed = float(calibration.owners.missed(limit.score, amount(enroll_seconds, seconds)))
            costs.append(Cost(speakers, enroll_seconds, seconds, far, missed, limit.extrapolated))
    return tuple(costs)


def errors_by_speech(system: System, store: SpeakerStore | None = None) -> tuple[Cost, ...]:
    """Return what rates of false accepts cost in a store, or in one of one person and one of many with a usual amount.

    Parameters
    ----------
    system : System
        Without a calibration, and with fewer people than would make up for it, nothing is known or returned.
    store : SpeakerStore, optional
        Half of its speakers have the amount enrolled that is told, or more. Default: of one person, and of as many as
        the calibration has simulated.

    Raises
    ------
    InvalidInput
        If no session of the store is whole.
    IncompatibleModel
        If the store is of another system.

    Examples
    --------
    >>> import speechgmm
    >>> costs = errors_by_speech(speechgmm.default_system())
    >>> costs[0].far, costs[0].speakers, 0 < costs[0].missed < 1
    (0.01, 1, True)
    """
    if store is not None:
        found = enrolled(system, store)
        c, norm = found.domain.calibration, found.domain.norm
        held, speakers = float(np.median(found.models.speech_seconds)), len(found.models.names)
        return () if c is None or norm is None else error_table(c, norm, held, speakers)
    c = system.calibration
    if c is None:
        return ()
    sizes = sorted({int(c.levels.sizes[0]), int(c.levels.sizes[-1])})
    return tuple(cost for n in sizes for cost in error_table(c, c.levels.norm(n), c.usual_seconds or np.nan, n))
