"""What published corpora of one folder for each speaker have in common: paths that follow a pattern to the letter.

A folder is such a corpus if the pattern fits its sound files. Where the folder of each speaker lies at the top, a folder
of speakers means the same. Where folders of the corpus lie above, it does not: then a single sound file that does not
fit is refused, so that nobody takes a part of the corpus for a speaker, or the other way round.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace

from speechgmm.checks import refuse
from speechgmm.features.corpus import Recording
from speechgmm.features.layouts.protocol import Layout, Place
from speechgmm.features.problems import Problems


@dataclass(frozen=True)
class Fit:
    """What the path of a sound file says: `above` are the folders above the speaker's."""

    speaker: str
    session: str
    name: str
    above: tuple[str, ...]


class Published(Layout):
    """A corpus whose paths follow a pattern.

    Parameters
    ----------
    pattern : str
        It in words.
    """

    pattern: str

    @abstractmethod
    def fit(self, parts: tuple[str, ...]) -> Fit | None:
        """Return what the last parts of a path say, or None where they do not follow the pattern."""

    def recognizes(self, place: Place) -> bool:
        """Return whether the pattern fits all sound files, or some that a folder of speakers would misread."""
        if not place.path.is_dir() or not place.sounds:
            return False
        fits = [self._fit(place, parts) for parts in place.sounds]
        return all(fits) or any(f and f.above for f in fits)

    def recordings(self, place: Place, label: str | None, problems: Problems) -> Iterator[Recording]:
        """Yield the recording that each sound file is, and collect those that do not fit."""
        for parts in place.sounds:
            path = str(place.path.joinpath(*parts))
            with problems.collected():
                fit = self._fit(place, parts)
                if fit is None:
                    rule = f"lie as {self.pattern}, as other sound files in {place.path} do"
                    refuse(path, rule, "another place", "Move it elsewhere, or list what counts in a CSV.")
                columns = {"path": "/".join(parts), "speaker": fit.speaker, "label": fit.speaker}
                columns |= {"session": fit.session, "subset": "/".join(fit.above)}
                yield Recording(path, fit.speaker, fit.name, fit.session, columns=columns)

    def _fit(self, place: Place, parts: tuple[str, ...]) -> Fit | None:
        """Return what a path says, where the folder itself may be that of a speaker."""
        fit = self.fit((place.path.absolute().name, *parts))
        return None if fit is None else replace(fit, above=fit.above[1:])
