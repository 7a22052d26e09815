"""Models of single recordings, for trials of one recording against another: what enrolling each by hand would give.

The adapted means lie in an unnamed temporary file, mapped into memory, so that memory does not grow with their number.
They are adapted in the domain of all of them. Symbols: S recordings, K components, D dimensions.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import Skipped
from speechgmm.features import Extracted, Recording, extract_all
from speechgmm.looks import Shown
from speechgmm.mixture import UBM, Statistics
from speechgmm.mixture.adapt import adapted_offsets
from speechgmm.parallel import Progress, Threads, total
from speechgmm.speakers.by_recording import ByRecording
from speechgmm.speakers.domain import MOST, People
from speechgmm.speakers.models import SpeakerModels
from speechgmm.speakers.sessions import first_order
from speechgmm.speakers.system import System


@dataclass(frozen=True, eq=False)
class RecordingModels(Shown):
    """The `models` of recordings by their names, the `digests` of their samples, what was left out, and `by_recording`.

    These are the recordings once more, where single ones count in the system.
    """

    models: SpeakerModels
    digests: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    by_recording: ByRecording | None


def recording_models(
    system: System,
    recordings: Sequence[Recording],
    *,
    n_threads: Threads = None,
    on_progress: Progress | None = None,
) -> RecordingModels:
    """Adapt a model to each recording; a bad one is left out.

    Raises
    ------
    InvalidInput
        If none can be used; the first reason is given.
    """

    def counted(e: Extracted) -> tuple[Extracted, Statistics | None]:
        return e, None if e.features is None else total(map(system.ubm.statistics, e.blocks()))

    made: list[tuple[str, float, str]] = []
    skipped: list[Skipped] = []
    shape = system.ubm.means.shape
    with tempfile.TemporaryFile(prefix="speechgmm-") as spool:
        for e, statistics in extract_all(
            system.frontend, recordings, counted, stage="enrolled", n_threads=n_threads, on_progress=on_progress
        ):
            if statistics is None:
                skipped.append(Skipped(e.name, str(e.error)))
                continue
            spool.write(np.concatenate([statistics.counts[:, None], statistics.first], axis=1).tobytes())
            made.append((e.name, e.speech_seconds, e.digest))
        if not made:
            advice = "If the trials name enrolled speakers, give their store."
            refuse("recordings to enroll", "be at least one that can be used", f"none; {skipped[0].reason}", advice)
        spool.flush()
        # the map keeps the file alive after its handle and name are gone
        moments = np.memmap(spool, dtype=np.float64, mode="r+", shape=(len(made), shape[0], shape[1] + 1))
    names, seconds, digests = zip(*made, strict=True)
    order = sorted(range(len(made)), key=lambda i: (digests[i], names[i]))[:MOST]
    pool = tuple(_statistics(system.ubm, moments[i]) for i in order)
    ubm = People(tuple(names[i] for i in order), pool, np.array(seconds)[order]).domain(system.ubm)
    for m in moments:  # each is adapted where its moments lay
        m[:, 1:] = adapted_offsets(ubm, _statistics(system.ubm, m), system.relevance)
    models = SpeakerModels(names, moments[:, :, 1:], np.array(seconds), ubm, system.fingerprint)

    def adapted_to(i: int) -> tuple[Statistics]:
        counts, means = moments[i, :, 0], moments[i, :, 1:]
        first = counts[:, None] * means + system.relevance * (means - ubm.offsets)
        return (first_order(ubm, counts, first),)

    by_recording = ByRecording(models, system.relevance, adapted_to) if system.by_recording else None
    return RecordingModels(models, digests, tuple(skipped), by_recording)


def _statistics(ubm: UBM, moments: Array) -> Statistics:
    """Return the statistics of [counts, first moments], (K, 1 + D)."""
    return first_order(ubm, moments[:, 0], moments[:, 1:])
