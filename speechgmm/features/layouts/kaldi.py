"""Kaldi data directories (Povey et al. 2011): `wav.scp`, `utt2spk` and, if wanted, `segments`; or features alone."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from speechgmm.checks import refuse
from speechgmm.features.corpus import Recording
from speechgmm.features.layouts.key_values import key_values, listed_places
from speechgmm.features.layouts.protocol import CorpusLayout, Place
from speechgmm.features.layouts.tables import seconds
from speechgmm.features.problems import Problems

_CONVERT = (
    "Run the commands once and list the files that they make: mkdir wav; while read -r name command; do "
    'bash -c "${command%|}" < /dev/null > "wav/$name.wav"; echo "$name $PWD/wav/$name.wav"; done < wav.scp > new.scp'
)


class KaldiDirectory(CorpusLayout):
    """A folder with a `wav.scp` of files, or, without one, with a `feats.scp` of features."""

    name = "a Kaldi data directory"

    def recognizes(self, place: Place) -> bool:
        """Return whether it has one of both."""
        return any((place.path / name).exists() for name in ("wav.scp", "feats.scp"))

    def recordings(self, place: Place, label: str | None, problems: Problems) -> Iterator[Recording]:
        """Yield a recording for each utterance: those of `segments`, or of `wav.scp` where there is none.

        Without a `wav.scp` they are those of `feats.scp`: its features are of utterances, whatever these were cut from.
        """
        folder = place.path
        heard = (folder / "wav.scp").exists()
        if heard:
            wav = _table(folder / "wav.scp", problems)
            _refuse_commands(folder / "wav.scp", wav)
        else:
            wav = listed_places(place, folder / "feats.scp", problems)
        cut = heard and (folder / "segments").exists()
        utterances = _table(folder / "segments", problems) if cut else {u: (u, row) for u, (_, row) in wav.items()}
        named = label is not None or (folder / "utt2spk").exists()
        speakers = _table(folder / "utt2spk", problems) if named else dict.fromkeys(utterances, ("", ""))
        listed = "segments" if cut else "wav.scp" if heard else "feats.scp"
        with problems:
            if lost := [u for u in utterances if u not in speakers]:
                rule, found = "name the speaker of every utterance", f"none for {lost[0]} ({len(lost)} in all)"
                refuse(f"{folder / 'utt2spk'}", rule, found)
        located = functools.cache(place.located)
        for u, (text, row) in utterances.items():
            with problems:
                recording, start, end = _segment(folder, u, text, wav) if cut else (u, 0.0, None)
                if u in speakers:
                    path, speaker = wav[recording][0], speakers[u][0]
                    columns = {"path": path, "speaker": speaker, "utterance": u, "recording": recording}
                    where = f"{row} of {listed}"
                    yield Recording(located(path), speaker, u, None, start, end, columns=columns, row=where)


def _refuse_commands(path: Path, wav: Mapping[str, tuple[str, str]]) -> None:
    """Refuse what Kaldi would run, and say how to make files of it."""
    if commands := [(name, row, what) for name, (what, row) in wav.items() if what.endswith("|")]:
        rows = ", ".join(row.removeprefix("line ") for _, row, _ in commands[:20])
        rows += f" and others, {len(commands)} in all" if len(commands) > 20 else ""
        name, _, what = commands[0]
        found = f"a command for {name}: {what} (line{'s' if len(commands) > 1 else ''} {rows})"
        refuse(str(path), "name sound files", found, _CONVERT)


def _segment(
    folder: Path, utterance: str, text: str, wav: Mapping[str, tuple[str, str]]
) -> tuple[str, float, float | None]:
    """Return which recording a segment is cut from, its start, and its end; an end of -1 is that of the recording."""
    fields = text.split()
    if len(fields) != 3 or fields[0] not in wav:
        rule = "read 'utterance recording start end' with a recording of wav.scp"
        refuse(f"{folder / 'segments'}", rule, f"{utterance} {text}")
    where = f"{utterance} in {folder / 'segments'}"
    start, end = seconds(fields[1], where) or 0.0, seconds(fields[2], where)
    return fields[0], start, None if end == -1 else end


def _table(path: Path, problems: Problems) -> dict[str, tuple[str, str]]:
    """Return the value and the row of each key of a file that must be there."""
    if not path.exists():
        refuse("a Kaldi directory", "have the files wav.scp (or feats.scp) and utt2spk", f"no {path}")
    return key_values(path, problems)
