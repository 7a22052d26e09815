"""What campaigns listen to: the recordings of a corpus as they are, through a telephone or in babble, whole or cut."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import corpora
import numpy as np
import soundfile as sf
from babble import VOICES, babble
from numpy.typing import NDArray
from telephone import RATE, Telephone

import speechgmm
from speechgmm.features import Corpus, Extracted, Recording, read
from speechgmm.parallel import threads

__all__ = [
    "BABBLE",
    "RECIPES",
    "WITHOUT_BACKGROUND",
    "Recordings",
    "Skip",
    "cut",
    "grouped",
    "sitting_of",
    "speaker_of",
    "spread",
    "written",
]

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

RECIPES = {
    "wuw2": "verify_telephone",
    "malayalam_msc": "other_microphones",
    "librispeech_mini": "identify_readers",
    "fsdd": "identify_digits",
}
"""Which recipe prepares a corpus."""
WITHOUT_BACKGROUND = ("fsdd",)
"""Corpora with no `ubm` rows: their `enroll` rows take the place of these."""
BABBLE = 10.0
"""By so many dB speech is louder than the others who talk."""


class Skip(Exception):
    """A row that cannot be measured, with the reason."""


@dataclass(frozen=True)
class Recordings:
    """Makes the splits of corpora; a copy that was made before is taken.

    Parameters
    ----------
    data : Path or None
        A folder of prepared corpora; None downloads them.
    folder : Path
        For the copies.
    n_threads : int, optional
        Default: the cores of this process.
    """

    data: Path | None
    folder: Path
    n_threads: int | None = None

    def of(self, corpus: str, split: str, *, telephone: bool = False, babble: bool = False) -> Corpus:
        """Return the recordings of a split as they are, in babble, or as they arrive by telephone.

        The babble is of the corpus' background speakers, none of whom is enrolled where there are `ubm` rows.
        """
        recipe = Path(__file__).resolve().parent.parent / RECIPES[corpus]
        manifest = corpora.prepare(recipe, data=self.data / corpus if self.data else None)
        every = speechgmm.read_corpus(manifest)
        background = "enroll" if corpus in WITHOUT_BACKGROUND else "ubm"
        chosen = every.where(split=background if split == "ubm" else split)
        if babble:
            crowd = every.where(split=background)
            chosen = self._each(lambda r: _among(r, crowd, self.folder / "babble"), chosen)
        return self._each(lambda r: _called(r, self.folder / "telephone"), chosen) if telephone else chosen

    def _each(self, copy: Callable[[Recording], Recording], chosen: Corpus) -> Corpus:
        """Return a copy of each recording."""
        return Corpus(tuple(threads(self.n_threads)(copy, chosen)), chosen.source)


def speaker_of(e: Extracted) -> str:
    """Return who speaks."""
    return e.recording.speaker


def sitting_of(e: Extracted) -> tuple[str, str]:
    """Return who speaks, and in which session."""
    return e.recording.speaker, e.recording.session_name


def grouped(extracted: Iterable[Extracted], key: Callable[[Extracted], K]) -> dict[K, list[Extracted]]:
    """Return recordings by their speakers or sessions."""
    found: dict[K, list[Extracted]] = {}
    for e in extracted:
        found.setdefault(key(e), []).append(e)
    return found


def cut(extracted: Iterable[Extracted], frames: int, most: int | None = None) -> list[list[Extracted]]:
    """Return what has exactly so many frames: recordings one after the other, the last of each cut, at most so many."""
    found: list[list[Extracted]] = []
    held: list[Extracted] = []
    missing = frames
    for e in extracted:
        if most is not None and len(found) == most:
            break
        x = e.usable()[:missing]
        held.append(dataclasses.replace(e, features=x, speech_seconds=e.speech_seconds * len(x) / len(e.usable())))
        missing -= len(x)
        if not missing:
            found.append(held)
            held, missing = [], frames
    return found


def spread(tests: Sequence[T], most: int | None) -> list[T]:
    """Return at most so many tests, spread over all."""
    places = np.linspace(0, len(tests) - 1, min(len(tests), most or len(tests))).round().astype(int)
    return [tests[i] for i in places]


@contextlib.contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes this one at the end, so that no half file is ever taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    yield part
    part.replace(path)


def _called(recording: Recording, folder: Path) -> Recording:
    """Return a recording as it arrives at the other end of a telephone line, in a file of its own."""
    return _copied(recording, folder, lambda x, rate: (Telephone()(x, rate), RATE))


def _among(recording: Recording, crowd: Corpus, folder: Path) -> Recording:
    """Return a recording among others of a crowd who talk, in a file of its own; its name draws who they are."""

    def spoil(x: NDArray[np.float64], rate: int) -> tuple[NDArray[np.float64], int]:
        rng = np.random.default_rng(list(hashlib.sha256(recording.name.encode()).digest()))
        strangers = [r for r in crowd if r.speaker != recording.speaker]
        chosen = [strangers[i] for i in rng.permutation(len(strangers))[:VOICES]]
        return babble(x, [read(r.path).samples for r in chosen], rate, rng, decibels=BABBLE), rate

    return _copied(recording, folder, spoil)


def _copied(
    recording: Recording,
    folder: Path,
    change: Callable[[NDArray[np.float64], int], tuple[NDArray[np.float64], int]],
) -> Recording:
    """Return a recording whose samples were changed, in a file of its own; a file that is there is taken."""
    path = folder / f"{hashlib.sha256(recording.path.encode()).hexdigest()[:16]}.wav"
    if not path.is_file():
        sound = read(recording.path)
        samples, rate = change(sound.samples, sound.sample_rate)
        with written(path) as part:
            sf.write(part, samples, rate, format="WAV", subtype="PCM_16")
    return dataclasses.replace(recording, path=str(path))
