"""What a layout of a corpus is: it recognizes a place, and lists its recordings, each with its row."""

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from speechgmm.features import pyav, sndfile
from speechgmm.features.corpus import Recording
from speechgmm.features.problems import Problems

AUDIO_ENDINGS = sndfile.ENDINGS | pyav.ENDINGS
"""What looks like sound by its name: what of it cannot be read is left out, with the reason, and not passed over."""


@dataclass(frozen=True)
class Place:
    """A file or folder where a corpus may be; a folder is walked once, whatever layouts ask of it."""

    path: Path

    @functools.cached_property
    def sounds(self) -> tuple[tuple[str, ...], ...]:
        """The parts of the path of each sound file in a folder, relative to it, in order; hidden ones are passed."""
        found: list[tuple[str, ...]] = []
        for above, folders, files in os.walk(self.path):
            folders[:] = [name for name in folders if not name.startswith(".")]
            parts = Path(above).relative_to(self.path).parts
            heard = (f for f in files if not f.startswith(".") and os.path.splitext(f)[1].lower() in AUDIO_ENDINGS)
            found.extend((*parts, name) for name in heard)
        return tuple(sorted(found))

    def file(self, parts: tuple[str, ...]) -> str:
        """Return the path of a file in a folder."""
        return os.path.join("" if self.path == Path() else self.path, *parts)

    def located(self, path: str) -> str:
        """Return where a file is that a list here names: as it is named if it is there, else relative to the list."""
        folder = self.path if self.path.is_dir() else self.path.parent
        return path if os.path.exists(path) else str(folder / path)


class CorpusLayout(ABC):
    """One way to lay out a corpus.

    Parameters
    ----------
    name : str
        It in words, for people who want to know how a place was understood.
    """

    name: str

    @abstractmethod
    def recognizes(self, place: Place) -> bool:
        """Return whether a place that exists is laid out so; what one layout has recognized, no later one is asked."""

    @abstractmethod
    def recordings(self, place: Place, label: str | None, problems: Problems) -> Iterator[Recording]:
        """Yield the recordings of a place, and collect what is wrong with it.

        Parameters
        ----------
        place : Place
        label : str or None
            See `read_corpus`.
        problems : Problems
        """
