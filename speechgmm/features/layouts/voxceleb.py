"""VoxCeleb (Nagrani et al. 2017; Chung et al. 2018): `wav/id10001/1zcIwhmdeo4/00001.wav` is speaker, video, file."""

import re

from speechgmm.features.layouts.published import Matched, Published

_SPEAKER, _VIDEO, _FILE = (re.compile(p) for p in (r"id\d{5}", r"[\w-]{11}", r"\d{5}\.\w+"))


class VoxCeleb(Published):
    """Folders of VoxCeleb 1 or 2: all of it, a part, or a speaker; a video is a session.

    Recordings are called as the official lists of trials call them (``id10001/1zcIwhmdeo4/00001.wav``), and the column
    ``subset`` has the folders above, such as ``dev/aac``.

    Examples
    --------
    >>> VoxCeleb().match(("VoxCeleb2", "dev", "aac", "id00012", "21Uxsk56VDQ", "00001.m4a"))
    Matched(speaker='id00012', session='21Uxsk56VDQ', name='id00012/21Uxsk56VDQ/00001.m4a', above=('dev', 'aac'))
    """

    name = "VoxCeleb's folders, speaker/video/file"
    pattern = "idSPEAKER/VIDEO/NUMBER"

    def match(self, parts: tuple[str, ...]) -> Matched | None:
        """Return what the last three parts of a path say."""
        last = parts[-3:]
        if len(last) < 3 or not all(p.fullmatch(s) for p, s in zip((_SPEAKER, _VIDEO, _FILE), last, strict=True)):
            return None
        return Matched(last[0], last[1], "/".join(last), parts[1:-3])
