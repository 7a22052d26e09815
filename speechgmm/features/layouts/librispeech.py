"""LibriSpeech (Panayotov et al. 2015): `train-clean-100/19/198/19-198-0000.flac` is subset, speaker, chapter, file."""

import re

from speechgmm.features.layouts.published import Matched, Published

_FILE = re.compile(r"((\d+)-(\d+)-\d+)\.\w+")


class LibriSpeech(Published):
    """Folders of LibriSpeech: all of it, a subset, or a speaker; a chapter is a session.

    Recordings are called as its utterances are (``19-198-0000``), and the column ``subset`` has the folders above.

    Examples
    --------
    >>> LibriSpeech().match(("LibriSpeech", "dev-clean", "19", "198", "19-198-0000.flac"))
    Matched(speaker='19', session='198', name='19-198-0000', above=('dev-clean',))
    """

    name = "LibriSpeech's folders, speaker/chapter/file"
    pattern = "SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER"

    def match(self, parts: tuple[str, ...]) -> Matched | None:
        """Return what the last three parts of a path say: the file's name repeats its folders."""
        found = _FILE.fullmatch(parts[-1])
        if found is None or found.groups()[1:] != parts[-3:-1]:
            return None
        return Matched(found[2], found[3], found[1], parts[1:-3])
