"""What published corpora of one folder for each speaker have in common: paths that follow a pattern to the letter.

A folder is such a corpus if the pattern fits all of its sound files. Where it fits some, a folder of speakers means the
same of them, unless folders of the corpus lie above those of the speakers: then the sound files that do not fit are
refused, so that nobody takes a part of the corpus for a speaker, or a recording for a part of the corpus.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

from speechgmm.checks import refuse
from speechgmm.features.corpus import Recording
from speechgmm.features.layouts.protocol import CorpusLayout, Place
from speechgmm.features.problems import Problems


@dataclass(frozen=True)
class Matched:
    """What the path of a sound file says: `above` are the folders above the speaker's."""

    speaker: str
    session: str
    name: str
    above: tuple[str, ...]


class Published(CorpusLayout):
    """A corpus whose paths follow a pattern.

    Parameters
    ----------
    pattern : str
        It in words.
    """

    pattern: str

    @abstractmethod
    def match(self, parts: tuple[str, ...]) -> Matched | None:
        """Return what the last parts of a path say, or None where they do not follow the pattern.

        The first part is the folder of the corpus itself, which may be that of a speaker.
        """

    def recognizes(self, place: Place) -> bool:
        """Return whether the pattern fits all sound files, or some that a folder of speakers would misread."""
        if not place.path.is_dir() or not place.sounds:
            return False
        root = place.path.absolute().name
        every = [self.match((root, *parts)) for parts in place.sounds]
        return all(every) or any(found and found.above for found in every)

    def recordings(self, place: Place, label: str | None, problems: Problems) -> Iterator[Recording]:
        """Yield the recording that each sound file is, and collect those that do not fit."""
        root = place.path.absolute().name
        for parts in place.sounds:
            path = place.file(parts)
            with problems:
                found = self.match((root, *parts))
                if found is None:
                    rule = f"lie as {self.pattern}, as other sound files in {place.path} do"
                    refuse(path, rule, "another place", "Move it elsewhere, or list what counts in a CSV.")
                columns = {"path": "/".join(parts), "speaker": found.speaker, "label": found.speaker}
                columns |= {"session": found.session, "subset": "/".join(found.above)}
                yield Recording(path, found.speaker, found.name, found.session, columns=columns)
