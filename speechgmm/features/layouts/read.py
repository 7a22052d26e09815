"""`read_corpus`: the layout that recognizes a place lists its recordings, and all of them are checked together."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from speechgmm.checks import refuse
from speechgmm.features import archives
from speechgmm.features.corpus import Corpus, Recording
from speechgmm.features.layouts.folders import Folders
from speechgmm.features.layouts.kaldi import KaldiDirectory
from speechgmm.features.layouts.lhotse import Lhotse
from speechgmm.features.layouts.librispeech import LibriSpeech
from speechgmm.features.layouts.protocol import CorpusLayout, Place
from speechgmm.features.layouts.tables import Csv, frame_recordings
from speechgmm.features.layouts.voxceleb import VoxCeleb
from speechgmm.features.problems import Problems
from speechgmm.features.validation import check_listed
from speechgmm.files import check_readable
from speechgmm.frames import FRAME

LAYOUTS: tuple[CorpusLayout, ...] = (Lhotse(), Csv(), KaldiDirectory(), LibriSpeech(), VoxCeleb(), Folders())
"""In the order in which they are asked."""

_OTHERS = "a Kaldi directory, or a manifest of lhotse."
_CORPORA = f"Give a CSV with the columns path and speaker, a folder with one subfolder for each speaker, {_OTHERS}"
_UNLABELED = f"Give a CSV with the column path, a folder with sound files, {_OTHERS}"


def read_corpus(path: Any, *, label: str | None = "speaker") -> Corpus:
    """Read a corpus, and check all of it.

    Parameters
    ----------
    path : path or data frame
        One of these; `Corpus.layout` says which was recognized.

        - A CSV with the columns ``path,speaker`` and, if wanted, ``session,start,end,channel`` and any others, divided
          by commas, semicolons or tabs and named in whatever case (`speechgmm.tables`), its paths relative to itself.
        - A data frame of pandas or polars with such columns, its paths relative to the working folder.
        - A folder with one subfolder for each speaker (folders inside are sessions).
        - The folders of LibriSpeech or of VoxCeleb, or of a part of them. Their files are recognized by paths that
          follow the pattern of these corpora to the letter; what does not follow it is refused.
        - A Kaldi data directory: ``wav.scp``, ``utt2spk`` and, if wanted, ``segments``; without a ``wav.scp``,
          ``feats.scp`` and ``utt2spk``.
        - A manifest of lhotse, ``.jsonl`` or ``.jsonl.gz``: cuts, or supervisions with their recordings in a file named
          alike (``x_supervisions.jsonl``, ``x_recordings.jsonl``), or a folder with ``supervisions.jsonl`` and
          ``recordings.jsonl``.
    label : str or None
        The column of a CSV that must name what each recording is, instead of the speaker. Folders are "label", too.
        None: nobody needs to know; a CSV needs the column ``path`` alone, a folder no subfolders, and a Kaldi
        directory no ``utt2spk``.

    Raises
    ------
    InvalidInput
        If there is no such thing, it is empty, lacks a column or file, or has lines that say nothing usable, parts that
        hold nothing, or a recording twice. Several mistakes are one `BadCorpus`, which lists them with their lines.

    Warns
    -----
    SpeechGMMWarning
        If sound files lie in a folder itself, where nobody can say whose they are.

    Notes
    -----
    No sound is opened here, and files need not be there: one that is missing or damaged is left out and reported when
    it is read, so that it does not lose the others. `missing` says beforehand which are not there.

    Examples
    --------
    The embedded corpus of a checkout:

    >>> corpus = read_corpus("data/manifest.csv")
    >>> len(corpus), len(corpus.where(split="ubm"))
    (90, 40)
    """
    advice = _UNLABELED if label is None else _CORPORA
    framed = not isinstance(path, (str, os.PathLike))
    source = FRAME if framed else str(Path(path))
    problems = Problems(source)
    if framed:
        layout, found = "a data frame", frame_recordings(path, label, problems)
    else:
        place = _place(Path(path), advice)
        recognized = next(known for known in LAYOUTS if known.recognizes(place))
        layout, found = recognized.name, recognized.recordings(place, label, problems)
    recordings = _named_apart(list(found))
    check_listed(recordings, problems)
    problems.refuse()
    if not recordings:
        refuse(f"the corpus {source}", "list at least one recording", "none", advice)
    return Corpus(tuple(recordings), source, layout)


def _place(path: Path, advice: str) -> Place:
    """Return a place that is there, a file or a folder."""
    if not os.path.exists(path):
        refuse("a corpus", "exist", f"{path}, which does not", advice)
    check_readable(path, "a corpus")
    if path.is_file() and path.suffix.lower() in archives.ENDINGS:
        hint = "Give the Kaldi directory that it lies in, or a corpus, and features with --features or with_features."
        refuse("a corpus", "say who speaks", f"{path} alone", hint)
    return Place(path)


def _named_apart(recordings: Iterable[Recording]) -> list[Recording]:
    """Add part and channel to names that come several times: ``call.wav@0-5.5#1``."""
    every = list(recordings)
    count = Counter(r.name for r in every)
    return [replace(r, name=r.name + _part(r)) if count[r.name] > 1 else r for r in every]


def _part(r: Recording) -> str:
    end = "" if r.end is None else format(r.end, ".12g")
    span = "" if (r.start, r.end) == (0.0, None) else f"@{r.start:.12g}-{end}"
    return span + ("" if r.channel == "mix" else f"#{r.channel}")
