"""What is kept of a recording beside its session: some of its frames in deviations of the UBM, and features again.

Symbols: N frames, D dimensions of a stream, S streams.
"""

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.features import Acoustics
from speechgmm.mixture import UBM, Statistics
from speechgmm.speakers.familiarity import measures
from speechgmm.speakers.impostors import Heard, drawn_frames
from speechgmm.speakers.sessions import RecordingSample


def sample_of(
    ubm: UBM,
    digest: str,
    statistics: Statistics,
    features: Array,
    speech_seconds: float,
    acoustics: Acoustics | None = None,
) -> RecordingSample:
    """Return what is kept of a recording: its own statistics and measures, and some of its frames, drawn by its digest.

    Parameters
    ----------
    ubm : UBM
        Of the system.
    digest : str
        Of the recording.
    statistics : Statistics
    features : ndarray, shape (N, D)
    speech_seconds : float
    acoustics : Acoustics, optional
        How it sounds, where the front end says so.
    """
    seed = int.from_bytes(digest.encode()[:16], "big")
    drawn = drawn_frames(features, speech_seconds, np.random.default_rng(seed))
    largest = float(np.finfo(np.float16).max)
    origin, unit = _of_frames(ubm)
    frames = np.clip((drawn.features - origin) / unit, -largest, largest)
    return RecordingSample(
        digest,
        speech_seconds,
        statistics.counts,
        statistics.first,
        frames,
        drawn.speech_seconds,
        measures(statistics.mean_log_likelihood, acoustics),
    )


def heard(ubm: UBM, sample: RecordingSample) -> Heard:
    """Return the frames of a sample as features (n, S D) again."""
    if sample.frames.shape[1] != ubm.n_dimensions:
        found = f"{sample.frames.shape[1]} of {sample.digest}"
        refuse("a sample of a recording", f"have {ubm.n_dimensions} features", found, error=IncompatibleModel)
    origin, unit = _of_frames(ubm)
    features = origin + unit * sample.frames.astype(np.float64)
    return Heard(features.astype(np.float32), sample.frame_seconds)


def unit_of(ubm: UBM) -> Array:
    """Return the deviation (D,) of the components in each feature."""
    deviations = np.broadcast_to(ubm.covariance.deviations(), ubm.means.shape)
    return np.asarray(deviations.mean(axis=0))


def _of_frames(ubm: UBM) -> tuple[Array, Array]:
    """Return the origin and the deviation of each feature of a frame, which may hold several streams of D."""
    origin, unit = (np.resize(x, ubm.n_dimensions) for x in (ubm.origin, unit_of(ubm)))
    return origin, unit
