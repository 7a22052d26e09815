"""Features of many recordings -> one `.npz` file, for other programs. Symbols: N frames, D dimensions."""

import json
import os
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from speechgmm.checks import escaped, refuse
from speechgmm.features.corpus import Recording
from speechgmm.features.extraction import extract_all
from speechgmm.features.frontend import FrontEnd
from speechgmm.files import Kind, has_member, replacing
from speechgmm.parallel import Progress

_SETTINGS = "frontend"
FEATURES = Kind("a file of features", has_member(f"{_SETTINGS}.npy"))
"""What `write_features` writes."""


@dataclass(frozen=True)
class Written:
    """What became of one recording: how many `frames` of speech were written, or the `error` that it met."""

    name: str
    frames: int
    speech_seconds: float
    error: str | None = None


def write_features(
    frontend: FrontEnd,
    recordings: Iterable[Recording],
    path: str | os.PathLike[str],
    *,
    n_threads: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[Written, ...]:
    """Write the features of recordings to one file that `numpy.load` reads; a bad recording is left out and reported.

    The file holds an array (N, D) of float32 under the name of each recording, with escapes for what cannot be seen in
    it, and under "frontend" the settings as JSON text. The same recordings and settings give the same bytes. The file
    appears whole or not at all.

    Parameters
    ----------
    frontend : FrontEnd
    recordings : iterable of Recording
        Of different names.
    path : path
        Used as it is; end it in ``.npz``.
    n_threads, on_progress
        See `extract_all`.

    Raises
    ------
    InvalidInput
        If no recording could be used, a name comes twice or is "frontend", or the file cannot be written.
    """
    every = tuple(recordings)
    names = [escaped(r.name) for r in every]
    if _SETTINGS in names or len(set(names)) < len(names):
        twice = next((n for i, n in enumerate(names) if n in names[:i] or n == _SETTINGS), "")
        refuse("the names of recordings", f"differ from each other and from {_SETTINGS!r}", repr(twice))
    done = []
    with replacing(path, FEATURES) as beside:
        with zipfile.ZipFile(beside, "w") as file:
            _put(file, _SETTINGS, np.array(json.dumps(frontend.settings, sort_keys=True)))
            for e in extract_all(frontend, every, n_threads=n_threads, on_progress=on_progress):
                if e.features is None:
                    done.append(Written(e.name, 0, 0.0, str(e.error)))
                    continue
                _put(file, escaped(e.name), e.features)
                done.append(Written(e.name, len(e.features), e.speech_seconds))
        if not any(w.frames for w in done):
            found = f"none of {len(done)}" + (f"; the first: {done[0].error}" if done else "")
            refuse("recordings", "be at least one that can be used", found)
    return tuple(done)


def _put(file: zipfile.ZipFile, name: str, array: NDArray[Any]) -> None:
    """Write one member as `numpy.savez` does, but for the date, so that the same arrays give the same bytes."""
    with file.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)
