"""Features by the names of recordings: a Kaldi archive, a list of places in archives, or a folder of `.npy` files."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from speechgmm.checks import number, refuse
from speechgmm.features import archives
from speechgmm.features.corpus import Corpus, Recording
from speechgmm.features.layouts.key_values import listed_places
from speechgmm.features.layouts.protocol import AUDIO_ENDINGS, Place
from speechgmm.features.own_features import OwnFeatures
from speechgmm.features.problems import Problems
from speechgmm.features.validation import check_listed

FRAME_SHIFT = "frame_shift"
"""The file of a Kaldi directory with the step from frame to frame, in seconds."""
_ADVICE = "Give a Kaldi list (.scp) or archive (.ark), or a folder of .npy files."


def listed_features(path: str | os.PathLike[str]) -> Corpus:
    """Return the features that are listed, as recordings of nobody known, each under its name.

    Parameters
    ----------
    path : path
        A `.scp` whose lines are ``name feats.ark:17``, archives relative to the working folder or to it; an `.ark`; or
        a folder, in which ``a/1.wav.npy`` and ``a/1.npy`` are named ``a/1.wav`` and ``a/1``.

    Raises
    ------
    InvalidInput
        If there is no such thing, it lists none, or has lines that name no place; all of them together.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(f"{folder.name}/a.wav.npy", np.zeros((100, 13)))
    >>> [r.name for r in listed_features(folder.name)]
    ['a.wav']
    >>> folder.cleanup()
    """
    place = Place(Path(path))
    if not os.path.exists(place.path):
        refuse("a list of features", "exist", f"{path}, which does not", _ADVICE)
    problems = Problems(str(path))
    if place.path.is_dir():
        found = [(os.path.splitext("/".join(parts))[0], place.file(parts), "") for parts in place.files((".npy",))]
    elif place.path.suffix.lower() == ".ark":
        found = [(name, where, "") for name, where in archives.places(place.path)]
    elif place.path.suffix.lower() == ".scp":
        found = [(name, *found) for name, found in listed_places(place, place.path, problems).items()]
    else:
        refuse("a list of features", "be of a known kind", str(path), _ADVICE)
    if len({name for name, *_ in found}) < len(found):
        names = [name for name, *_ in found]
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        refuse(str(path), "hold each name once", f"{twice!r} twice")
    problems.refuse()
    if not found:
        refuse(str(path), "list features", "none", _ADVICE)
    return Corpus(tuple(Recording(where, "", name, row=row) for name, where, row in found), str(path), "features")


def with_features(recordings: Corpus, path: str | os.PathLike[str]) -> Corpus:
    """Return a corpus with features in the place of its sounds, found by the names of its recordings.

    The features under a name are those of the recording as the corpus lists it: where that is a part of a file, of the
    part. A name that is the path of a sound file is also found without its ending (``a/1.wav`` as ``a/1``).

    Parameters
    ----------
    recordings : Corpus
    path : path
        See `listed_features`.

    Raises
    ------
    InvalidInput
        If recordings have no features there, or the same as others: all of them together.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from speechgmm.features import Corpus
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(f"{folder.name}/a.wav.npy", np.zeros((100, 13)))
    >>> (found,) = with_features(Corpus.from_files(["a.wav"], speaker="ann"), folder.name)
    >>> found.name, found.speaker, found.path.endswith("a.wav.npy")
    ('a.wav', 'ann', True)
    >>> folder.cleanup()
    """
    known = {r.name: r.path for r in listed_features(path)}
    problems = Problems(f"the features {path}")
    kept: list[Recording] = []
    for r in recordings:
        with problems:
            stem, ending = os.path.splitext(r.name)
            where = known.get(r.name) or (known.get(stem) if ending.lower() in AUDIO_ENDINGS else None)
            if where is None:
                advice = "Write them under the names that the corpus gives, or choose rows by a column."
                refuse(f"the features {path}", "hold every recording", f"none of {r.place}", advice)
            kept.append(replace(r, path=where, start=0.0, end=None, channel="mix"))
    check_listed(kept, problems)
    problems.refuse()
    return replace(recordings, recordings=tuple(kept))


def listed_hop_length(path: str | os.PathLike[str]) -> float:
    """Return the seconds from one frame of listed features to the next: as ``frame_shift`` beside them says, or 0.010.

    Raises
    ------
    InvalidInput
        If that file holds no number of seconds.

    Examples
    --------
    >>> import pathlib
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = pathlib.Path(folder.name, "frame_shift").write_text("0.02")
    >>> listed_hop_length(f"{folder.name}/feats.scp")
    0.02
    >>> folder.cleanup()
    """
    shift = frame_shift_file(path)
    if not os.path.isfile(shift):
        return OwnFeatures.hop_length
    text = shift.read_text(encoding="utf-8", errors="replace").strip()
    try:
        return number(float(text), str(shift), minimum=0.0001, maximum=10.0, unit=" s")
    except ValueError:
        refuse(str(shift), "hold the seconds from one frame to the next, from 0.0001 to 10", repr(text[:40]))


def frame_shift_file(path: str | os.PathLike[str]) -> Path:
    """Return the file that says the step of features: in a folder of them, or beside an archive or a list."""
    place = Path(path)
    return (place if os.path.isdir(place) else place.parent) / FRAME_SHIFT


def recordings_of(
    names: Iterable[str], path: str | os.PathLike[str], *, speaker: str = "", session: str | None = None
) -> Corpus:
    """Return the features of some names, as recordings of one speaker, or of nobody known.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = tempfile.TemporaryDirectory()
    >>> np.save(f"{folder.name}/a.wav.npy", np.zeros((100, 13)))
    >>> [(r.name, r.speaker) for r in recordings_of(["a.wav"], folder.name, speaker="ann")]
    [('a.wav', 'ann')]
    >>> folder.cleanup()
    """
    return with_features(Corpus.from_files(names, speaker=speaker, session=session), path)
