"""The model that comes with the package for telephones: the readers of the one for 16 kHz, heard at 8 kHz.

Each background reader makes two calls, a half of the recording each, by different ones of sixteen simulated telephones.
A call is cut into pieces of one to four seconds, as long as what people say into telephones. A session is a call, so
that the calibration enrolls by one telephone and tests by another, and some of the strangers come by the telephone that
somebody was enrolled by. Ten readers whom the model has never heard, and telephones of their own, check it.

    python recipes/train_default_ubm/run_8k.py [--data DIR]
"""

from __future__ import annotations

import csv
import itertools
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import packaged_model
import running
import soundfile as sf
import strangers
from telephone import RATE, telephone

import speechgmm
from speechgmm.features import Recording, read

TELEPHONES = 16
"""Of the background readers; numbers from here on are those of the others."""
CALLS = 2
PIECES = (1.0, 2.0, 4.0)
"""Seconds, in turn."""
ABOUT = {
    "purpose": "read speech by simulated telephones (bands, handsets, mu-law) at 8 kHz; calibrated within one "
    "recording of each background speaker, from one telephone to another"
}
Row = dict[str, object]


def simulate(manifest: Path, folder: Path, *, seed: int = 0) -> Path:
    """Write what telephones make of a manifest's recordings to a folder, and return the manifest of that.

    Parameters
    ----------
    manifest : path
        With the splits "ubm", "enroll" and "test".
    folder : path
    seed : int
        For who calls by which telephones.
    """
    corpus, rng = speechgmm.read_corpus(manifest), np.random.default_rng(seed)
    place = {speaker: i for i, speaker in enumerate(corpus.speakers)}
    rows: list[Row] = []
    for number, r in enumerate(corpus):
        sound, split = read(r.path), r.columns["split"]
        if split == "ubm":
            telephones = rng.permutation(TELEPHONES)[:CALLS].tolist()
        else:
            telephones = [TELEPHONES + 2 * place[r.speaker] + (split == "test")]
        for i, part in enumerate(np.array_split(sound.samples, len(telephones))):
            heard = telephone(telephones[i])(part, sound.sample_rate)
            name = f"{number}-{i}.wav"
            sf.write(folder / name, heard, RATE, subtype="PCM_16")
            rows += _rows(r, name, telephones[i], len(heard) / RATE)
    with (folder / "metadata.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder / "metadata.csv"


def _rows(r: Recording, name: str, by: int, seconds: float) -> Iterator[Row]:
    """Yield the rows of one call: background speech in pieces, what is enrolled and tested as it is."""
    session, split = f"{r.columns['split']} by telephone {by}", r.columns["split"]
    pieces = cut(seconds) if split == "ubm" else [(0.0, None)]
    for start, end in pieces:
        yield {
            "path": name,
            "speaker": r.speaker,
            "session": session,
            "split": split,
            "start": start,
            "end": "" if end is None else end,
        }


def cut(seconds: float) -> list[tuple[float, float | None]]:
    """Return where the pieces of a recording begin and end, the last one at its end.

    Examples
    --------
    >>> cut(8.5)
    [(0.0, 1.0), (1.0, 3.0), (3.0, 7.0), (7.0, None)]
    """
    starts = [0.0]
    for step, after in itertools.pairwise(itertools.cycle(PIECES)):
        if starts[-1] + step + after > seconds:
            break
        starts.append(starts[-1] + step)
    return list(zip(starts, [*starts[1:], None], strict=True))


if __name__ == "__main__":
    source = running.manifest(packaged_model.DATA, running.arguments(__doc__))
    with tempfile.TemporaryDirectory() as place_of_calls:
        calls = simulate(source, Path(place_of_calls))
        model = packaged_model.train(calls, ABOUT)
        packaged_model.write(model, "read_speech_8k.sgmm")
        strangers.show_strangers(packaged_model.check(model, calls))
