"""Models of single recordings, for trials of one recording against another: what enrolling each by hand would give.

The adapted means lie in an unnamed temporary file, mapped into memory, so that memory does not grow with their number.
Symbols: S recordings, K components, D dimensions.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechgmm.checks import Array, refuse
from speechgmm.errors import Skipped
from speechgmm.features import Extracted, Recording, extract_all
from speechgmm.mixture.blocks import total
from speechgmm.parallel import Progress
from speechgmm.speakers.models import SpeakerModels, adapted_model
from speechgmm.speakers.system import System


@dataclass(frozen=True, eq=False)
class RecordingModels:
    """The `models` of recordings by their names, the `digests` of their samples, and what was left out."""

    models: SpeakerModels
    digests: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def recording_models(
    system: System,
    recordings: Sequence[Recording],
    *,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> RecordingModels:
    """Adapt a model to each recording; a bad one is left out.

    Raises
    ------
    InvalidInput
        If none can be used; the first reason is given.
    """

    def adapted(e: Extracted) -> tuple[Extracted, Array | None]:
        if e.features is None:
            return e, None
        return e, adapted_model(system, total(map(system.ubm.statistics, e.blocks()))).offsets

    made: list[tuple[str, float, str]] = []
    skipped: list[Skipped] = []
    with tempfile.TemporaryFile(prefix="speechgmm-") as spool:
        for e, offsets in extract_all(
            system.frontend, recordings, adapted, stage="enrolled", n_threads=n_threads, on_progress=on_progress
        ):
            if offsets is None:
                skipped.append(Skipped(e.name, str(e.error)))
                continue
            spool.write(np.ascontiguousarray(offsets, dtype=np.float64).tobytes())
            made.append((e.name, e.speech_seconds, e.digest))
        if not made:
            advice = "If the trials name enrolled speakers, give their store."
            refuse("recordings to enroll", "be at least one that can be used", f"none; {skipped[0].reason}", advice)
        spool.flush()
        # the map keeps the file alive after its handle and name are gone
        means = np.memmap(spool, dtype=np.float64, mode="r", shape=(len(made), *system.ubm.means.shape))
    names, seconds, digests = zip(*made, strict=True)
    models = SpeakerModels(names, means, np.array(seconds), system.ubm, system.fingerprint)
    return RecordingModels(models, digests, tuple(skipped))
