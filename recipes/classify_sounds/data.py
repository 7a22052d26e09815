"""The data step of ESC-50 and ESC-10: from the layout of the source repository to a manifest.

The data set is a folder with `audio/*.wav` (2000 clips of 5 s at 44.1 kHz, 50 classes) and `meta/esc50.csv` with the
columns filename, fold, target, category, esc10, src_file, take. K. J. Piczak, "ESC: Dataset for Environmental Sound
Classification", ACM Multimedia 2015. The official folds keep clips of one original recording together.
"""

from __future__ import annotations

import csv
from pathlib import Path

from speechgmm.checks import refuse
from speechgmm.features import Corpus, Recording

__all__ = ["META", "corpus_of"]

META = Path("meta") / "esc50.csv"
_COLUMNS = ("filename", "fold", "category", "esc10", "src_file")


def corpus_of(data: Path, *, only_esc10: bool) -> Corpus:
    """Return the clips of ESC-50, or of its ten-class subset ESC-10.

    Each recording's columns are those of the meta file, with the category as "label" and the clip that it was cut
    from as its speaker: that is the group that folds keep together.

    Parameters
    ----------
    data : Path
        The folder that holds `audio` and `meta`.
    only_esc10 : bool

    Raises
    ------
    InvalidInput
        If the meta file is missing, lacks a column or lists no clip of the subset, or a clip is missing.
    """
    meta = data / META
    advice = "Give the folder of the repository karolpiczak/ESC-50 with --data."
    if not meta.is_file():
        refuse("the data set", f"have the file {META}", f"none in {data}", advice)
    with meta.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
        if missing := [c for c in _COLUMNS if c not in (reader.fieldnames or ())]:
            refuse(str(meta), f"have the columns {', '.join(_COLUMNS)}", f"none named {', '.join(missing)}")
    chosen = [row for row in rows if not only_esc10 or row["esc10"] == "True"]
    if not chosen:
        refuse(str(meta), "list at least one clip of the subset", f"none among {len(rows)}")
    recordings = []
    for row in chosen:
        path = data / "audio" / row["filename"]
        if not path.is_file():
            refuse("the data set", "hold every clip that its meta file lists", f"no {path}", advice)
        columns = {"label": row["category"], **row}
        recordings.append(Recording(str(path), row["src_file"], row["filename"], columns=columns))
    return Corpus(tuple(recordings), str(meta))
