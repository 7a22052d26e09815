"""What a layout of a corpus is: it recognizes a place, and lists its recordings, each with its row."""

import functools
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
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
        """The parts of the path of each sound file in a folder, see `files`."""
        return self.files(AUDIO_ENDINGS)

    def files(self, endings: Collection[str]) -> tuple[tuple[str, ...], ...]:
        """Return the parts of the path of each file in a folder that ends so, relative to it, in order.

        Hidden ones are passed. Links to folders are followed, but for those that lead back to where they are found in.
        """
        found: list[tuple[str, ...]] = []
        for above, folders, files in os.walk(self.path, followlinks=True):
            here = Path(above)
            folders[:] = [name for name in folders if not (name.startswith(".") or self._leads_back(here, name))]
            parts = here.relative_to(self.path).parts
            wanted = (f for f in files if not f.startswith(".") and os.path.splitext(f)[1].lower() in endings)
            found.extend((*parts, name) for name in wanted)
        return tuple(sorted(found))

    def _leads_back(self, here: Path, name: str) -> bool:
        """Return whether a folder is a link to one of those on the way to it."""
        if not (here / name).is_symlink():
            return False
        way = [here, *here.parents][: len(here.relative_to(self.path).parts) + 1]
        return os.path.realpath(here / name) in map(os.path.realpath, way)

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
