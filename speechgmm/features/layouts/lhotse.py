"""Manifests of lhotse (Zelasko et al. 2021): JSON lines of supervisions beside recordings, or of cuts.

Of a recording the sound file counts, of a supervision who speaks when. Read by ourselves: it is JSON, and lhotse brings
a deep learning framework along.
"""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from speechgmm.checks import refuse
from speechgmm.errors import InvalidInput
from speechgmm.features.corpus import Recording
from speechgmm.features.layouts.protocol import CorpusLayout, Place
from speechgmm.features.problems import Problems
from speechgmm.files import check_readable

_ENDINGS = (".jsonl", ".jsonl.gz")
_PACKED, _UNPACKED = 100, 1 << 24
"""A packed file has at most so many times its bytes in characters, small ones aside: manifests have some twenty."""
_SAVE = "Write the sound first, as with cuts.save_audios(folder), and give the manifest that it returns."
_Item = Mapping[str, Any]


class Lhotse(CorpusLayout):
    """A file of cuts or of supervisions, whose recordings are in the file named alike; or a folder with both files."""

    name = "a manifest of lhotse"

    def recognizes(self, place: Place) -> bool:
        """Return whether it is a file that ends in ``.jsonl``, or a folder with supervisions in one."""
        return place.path.name.endswith(_ENDINGS) if place.path.is_file() else _supervisions(place.path) is not None

    def recordings(self, place: Place, label: str | None, problems: Problems) -> Iterator[Recording]:
        """Yield the recording of each supervision; where nobody needs to be known, also of recordings alone."""
        path = _supervisions(place.path) or place.path
        items = list(_lines(path, problems))
        if items and "recording_id" in items[0][1]:
            known = _recordings_beside(path, problems)
        elif items and "sources" in items[0][1]:
            if label is not None:
                advice = "Give the supervisions that say who speaks, or cuts."
                refuse(str(path), "say who speaks", "recordings alone", advice)
            known, items = {r["id"]: r for _, r in items}, [(row, {"recording_id": r["id"]}) for row, r in items]
        else:
            known = {}
        for row, item in items:
            with problems:
                yield from _of_line(place, item, known, label, row, f"{row} of {path}")


def _of_line(
    place: Place, item: _Item, known: Mapping[str, _Item], label: str | None, row: str, where: str
) -> list[Recording]:
    """Return the recordings that a line says, or refuse what lhotse does not write."""
    try:
        said = _said(item, known, where, label)
        return [_recording(place, recording, one, label, row, where) for recording, one in said]
    except InvalidInput:
        raise
    except (AttributeError, LookupError, TypeError, ValueError, OverflowError) as error:
        refuse(where, "be as lhotse writes it", f"this: {type(error).__name__} {error}")


def _supervisions(folder: Path) -> Path | None:
    """Return the file of supervisions in a folder that has one and its recordings."""
    return next((p for e in _ENDINGS if (p := folder / f"supervisions{e}").exists()), None)


def _lines(path: Path, problems: Problems) -> Iterator[tuple[str, _Item]]:
    """Yield the objects of a file of JSON lines, each with its row."""
    check_readable(path, "a manifest of lhotse")
    opened = gzip.open if path.name.endswith(".gz") else open
    most = max(_UNPACKED, _PACKED * path.stat().st_size)
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(iter(lambda: file.readline(most + 1), ""), 1):
                if (most := most - len(line)) < 0:
                    refuse(str(path), "be JSON lines that unpack to what they say", "much more, of what repeats")
                if not line.strip():
                    continue
                with problems:
                    yield f"line {number}", _parsed(line, f"line {number} of {path}")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        refuse(str(path), "be JSON lines", f"this: {error}")


def _parsed(line: str, where: str) -> _Item:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        refuse(where, "be a JSON object with an id", repr(line.strip()[:80]))
    return found


def _recordings_beside(path: Path, problems: Problems) -> dict[str, _Item]:
    """Return the recordings, by their ids, of the file that is named as the supervisions are."""
    beside = path.with_name(path.name.replace("supervisions", "recordings"))
    if beside == path or not beside.exists():
        advice = "Rename one of them, or give cuts: CutSet.from_manifests(recordings, supervisions)."
        rule = "lie beside its recordings, in a file of the same name with 'recordings' for 'supervisions'"
        refuse(str(path), rule, "no such file" if beside != path else "another name", advice)
    return {r["id"]: r for _, r in _lines(beside, problems)}


def _said(item: _Item, known: Mapping[str, _Item], where: str, label: str | None) -> list[tuple[_Item, _Item]]:
    """Return recording and supervision, its start in the recording, for each that a line holds."""
    if "recording_id" in item:
        if item["recording_id"] not in known:
            refuse(where, "be of a recording that is listed", repr(item["recording_id"]))
        return [(known[item["recording_id"]], item)]
    recording = item.get("recording")
    if not isinstance(recording, dict):
        rule, found = "be a supervision, or a cut of one recording", item.get("type") or "something else"
        refuse(where, rule, str(found), "Mixed and padded cuts, and features without sound, are none. " + _SAVE)
    start = _number(item, "start", where)
    said = item.get("supervisions") or []
    if not said and label is None:
        return [(recording, item)]
    if not said:
        refuse(where, "say who speaks", "a cut without supervisions")
    return [(recording, {**s, "start": start + _number(s, "start", where)}) for s in said]


def _recording(place: Place, recording: _Item, said: _Item, label: str | None, row: str, where: str) -> Recording:
    """Return what counts of a recording: from the start of a supervision on, and as long as it is."""
    if recording.get("transforms"):
        refuse(where, "be of sound as it lies in its file", "a recording with transforms", _SAVE)
    path, channel = _source(recording, said, where)
    speaker = said.get("speaker") or ""
    if not speaker and label == "speaker":
        refuse(where, "name the speaker", "none")
    start, end = 0.0, None
    if "start" in said:
        start = _number(said, "start", where)
        last = start + _number(said, "duration", where)
        end = None if start == 0 and abs(last - recording.get("duration", -1)) < 1e-6 else last
    custom = said.get("custom") or {}
    told = {**said, **custom, "recording": recording["id"], "path": path, "speaker": speaker}
    columns = {n: str(v) for n, v in told.items() if isinstance(v, (str, int, float)) and n not in _STRUCTURE}
    name = str(said.get("id", recording["id"]))
    session = custom.get("session")
    session = None if session is None else str(session)
    return Recording(place.located(path), speaker, name, session, start, end, channel, columns, row)


_STRUCTURE = {"recording_id", "start", "duration", "channel"}
"""What a recording holds beside its columns."""


def _source(recording: _Item, said: _Item, where: str) -> tuple[str, int | str]:
    """Return the file of a recording, and which of its channels counts."""
    wanted = said.get("channel")
    wanted = wanted if isinstance(wanted, list) else [wanted]
    sources = [(s, s.get("channels") or [0]) for s in recording.get("sources") or []]
    holds = [(s, c) for s, c in sources if wanted == [None] or set(wanted) <= set(c)]
    if not holds:
        refuse(where, "be of channels that lie in one file", f"{wanted} of {len(sources)} files")
    source, channels = holds[0]
    if source.get("type") != "file":
        refuse(where, "be of a sound file", f"a source of the type {source.get('type')!r}", _SAVE)
    whole = wanted == [None] or len(wanted) == len(channels)
    if not whole and len(wanted) > 1:
        refuse(where, "be of one channel, or of all", f"channels {wanted} of {channels}")
    return str(source.get("source")), "mix" if whole else channels.index(wanted[0])


def _number(item: _Item, name: str, where: str) -> float:
    value = item.get(name, 0.0)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        refuse(f"the {name} in {where}", "be a number of seconds", repr(value))
    return float(value)
