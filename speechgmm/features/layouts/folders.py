"""Corpora as folders: one subfolder for each speaker or label, sound files in it, folders inside are sessions."""

import warnings
from collections.abc import Iterator

from speechgmm.checks import number_of
from speechgmm.errors import SpeechGMMWarning
from speechgmm.features.corpus import Recording
from speechgmm.features.layouts.protocol import CorpusLayout, Place
from speechgmm.features.problems import Problems

_NAMED = 5
"""How many files a warning names."""


class Folders(CorpusLayout):
    """Any folder with sound files."""

    name = "a folder with a subfolder for each speaker or label"

    def recognizes(self, place: Place) -> bool:
        """Return whether it is a folder."""
        return place.path.is_dir()

    def recordings(self, place: Place, label: str | None, problems: Problems) -> Iterator[Recording]:
        """Yield the recording that each sound file is; those in no subfolder are left out where a label is needed."""
        nobodys = [parts[0] for parts in place.sounds if len(parts) == 1 and label is not None]
        if len(nobodys) < len(place.sounds):
            _warn_of(nobodys, place)
        for parts in place.sounds:
            if len(parts) > 1 or label is None:
                with problems:
                    who, session = parts[0] if len(parts) > 1 else "", "/".join(parts[1:-1]) or None
                    name = "/".join(parts)
                    columns = {"path": name, "speaker": who, "label": who, "session": session or ""}
                    yield Recording(place.file(parts), who, name, session, columns=columns)


def _warn_of(nobodys: list[str], place: Place) -> None:
    """Say which sound files are of nobody known, if any."""
    if nobodys:
        which = ", ".join(nobodys[:_NAMED]) + (", ..." if len(nobodys) > _NAMED else "")
        rule = f"{number_of(len(nobodys), 'sound file')} in {place.path} left out, for being in no subfolder: {which}"
        warnings.warn(f"{rule}. Move each into the folder of its speaker.", SpeechGMMWarning, stacklevel=4)
