"""Which defaults tell more speakers apart? Ways to do it beside each other, on all corpora in one table.

A background model is trained on the `ubm` rows of each corpus; everybody else is enrolled and tested. Scores are
relative to a cohort of background speakers (T-norm) in the domain of all who are enrolled, without a calibration. Each
way is the defaults but for one thing. Shown are, in percent:

EER, strangers     of owners' trials against those of people who are not enrolled: half of the speakers are enrolled,
                   the others are the strangers, and then the other way around
EER, enrolled      of owners' trials against those of others who are enrolled: everybody is
identified         how often the speaker of a test has the best score of everybody

and, in brackets, the 95 % interval of the change from the defaults, by bootstrap over speakers. The last lines tell of
all corpora at once: the mean change, for which each corpus counts alike, and in how many rows the whole interval is on
one side.

    python recipes/benchmarks/accuracy.py --list
    python recipes/benchmarks/accuracy.py --cache DIR                         # the whole campaign
    python recipes/benchmarks/accuracy.py --cache DIR --rows fsdd 'wuw2+babble' 'malayalam_msc/5s/*' --ways best

A row is CORPUS, CORPUS+telephone or CORPUS+babble, then what is enrolled (`all`, or `5s`: five seconds of speech), then
what is one test (`recordings`, `sessions` or seconds of speech); `all` and `recordings` at the end are left out.
Through a telephone goes everything, the background too. Babble is in the tests alone: people enroll where it is quiet,
and are met where it is not. DIR keeps background models, cohorts, features and copies of recordings, so that a second
run, or another way, is quick: empty it after a change of the training or of the features.
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import rates_counts as counts
from accuracy_material import ROWS, Row, Searches, Way
from halves import Half
from recordings import Recordings, Skip

from speechgmm.evaluation import Interval

DEFAULTS = "defaults"
WAYS = {
    DEFAULTS: Way(),
    "normalized by itself": Way(normalization="mean_variance"),
    "relevance 4": Way(relevance=4.0),
    "relevance 16": Way(relevance=16.0),
    "best": Way(quality="best"),
    "64 and 256 for both": Way(n_components=(64, 256)),
    "128 for both": Way(n_components=(128,)),
    "mel cepstra alone": Way(kind="mfcc"),
    "linear cepstra alone": Way(kind="lfcc"),
    "mel cepstra, 256": Way(n_components=(256,), kind="mfcc"),
    "mel cepstra, 64": Way(n_components=(64,), kind="mfcc"),
    "recordings by seconds": Way(power=1.0),
    "recordings alike": Way(power=0.0),
    "enrolled by frames": Way(frames_power=1.0),
    "best, enrolled by frames": Way(frames_power=1.0, quality="best"),
    "first release": Way("mean_variance", 4.0, (256,), 1.0, 1.0, "mfcc"),
}
COLUMNS = {"EER, strangers": "eer_strangers", "EER, enrolled": "eer_enrolled", "identified": "identified"}

Found = Mapping[str, Interval]


def beside(ours: Sequence[Half], others: Sequence[Half]) -> dict[str, Interval]:
    """Return the accuracies of a way, and the change of each, from searches as `Searches.of` gives them."""
    everybody = counts.accuracy(ours[:1], others[:1], ("eer_enrolled", "identified"))
    return counts.accuracy(ours[1:], others[1:], ("eer_strangers",)) | everybody


def together(rows: Mapping[str, Found], corpora: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return what a way changes in all rows: for each accuracy the mean change, and where it is better and worse.

    Parameters
    ----------
    rows : mapping
        What `beside` tells of each row.
    corpora : mapping
        The corpus of each row; in the mean each corpus counts alike.
    """
    told = {}
    for name in counts.ACCURACIES:
        changes: dict[str, list[float]] = {}
        for row, found in rows.items():
            changes.setdefault(corpora[row], []).append(found[f"{name} change"].estimate)
        told[name] = {
            "change": float(np.mean([np.mean(own) for own in changes.values()])),
            "better": sum(name in counts.better(found) for found in rows.values()),
            "worse": sum(name in counts.worse(found) for found in rows.values()),
            "rows": len(rows),
        }
    return told


def line(*fields: str) -> str:
    """Return a line of the table."""
    return f"| {' | '.join(fields)} |"


def cells(found: Found, changed: bool) -> list[str]:
    """Return the accuracies of a row, with the intervals of their changes where there are any."""
    told = []
    for name in COLUMNS.values():
        low, high = (f"{100 * end:+.1f}" for end in (found[f"{name} change"].low, found[f"{name} change"].high))
        told.append(f"{100 * found[name].estimate:.1f}" + f" ({low} to {high})" * changed)
    return told


def measure(
    rows: Sequence[Row], ways: Sequence[str], searches: Searches, most: int | None = None, shown: bool = True
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Return what `beside` tells of each row and way, the defaults first; lines are printed as they come."""
    every: dict[str, dict[str, dict[str, Interval]]] = {}
    if shown:
        print(line("row", "way", *COLUMNS), line(*["---"] * (2 + len(COLUMNS))), sep="\n", flush=True)
    for row in rows:
        try:
            defaults = searches.of(row, WAYS[DEFAULTS], most)
        except Skip as reason:
            searches.say(f"{row.name} is left out: {reason}")
            continue
        every[row.name] = {}
        for way in dict.fromkeys([DEFAULTS, *ways]):
            ours = defaults if way == DEFAULTS else searches.of(row, WAYS[way], most)
            every[row.name][way] = beside(ours, defaults)
            if shown:
                print(line(row.name, way, *cells(every[row.name][way], way != DEFAULTS)), flush=True)
    return every


def show_together(told: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Print what each way changes in all rows."""
    for way, found in told.items():
        fields = (
            f"{100 * n['change']:+.1f}; better in {n['better']:g}, worse in {n['worse']:g} of {n['rows']:g}"
            for n in (found[name] for name in COLUMNS.values())
        )
        print(line("all", way, *fields))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="prepared copies of the corpora; without it, they are downloaded")
    parser.add_argument("--rows", nargs="+", default=["*"], help="names or patterns (default: all)")
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS), help="beside the defaults")
    parser.add_argument("--tests", type=int, help="the most tests of a speaker, spread over all (default: all)")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cache", type=Path, help="where all that takes time is kept (default: nowhere)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="only name the rows")
    return parser.parse_args()


def main() -> None:
    """Measure the rows that are asked for, and print each way when it is done."""
    given, began = _arguments(), time.monotonic()
    rows = [r for r in ROWS if any(fnmatch.fnmatchcase(r.name, pattern) for pattern in given.rows)]
    if given.list or not rows:
        print("\n".join(r.title for r in ROWS))
        return

    def say(what: str) -> None:
        print(f"{time.monotonic() - began:7.0f} s  {what}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        (cache := given.cache or Path(folder)).mkdir(parents=True, exist_ok=True)
        searches = Searches(Recordings(given.data, cache, given.threads), cache, say)
        every = measure(rows, given.ways, searches, given.tests, shown=not given.json)
    corpora = {r.name: r.corpus for r in rows}
    others = [way for way in dict.fromkeys(given.ways) if way != DEFAULTS and every]
    told = {way: together({row: ways[way] for row, ways in every.items()}, corpora) for way in others}
    if given.json:
        found = {
            row: {way: {n: dataclasses.astuple(i) for n, i in f.items()} for way, f in ways.items()}
            for row, ways in every.items()
        }
        print(json.dumps({"rows": found, "together": told}))
        return
    show_together(told)


if __name__ == "__main__":
    main()
