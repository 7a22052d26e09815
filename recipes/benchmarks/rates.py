"""Are stated rates kept on other people's recordings? Searches of strangers and of owners, model by corpus.

For each row of the table, in random halves of a corpus' speakers, 1, 2, 5, 10 and 20 are enrolled and everybody else is
a stranger. All is scored and decided as `identify` does it. Shown are the share of strangers accepted where 1, 5 and
10 % were asked, with its 95 % interval over speakers, and the misses of owners, beside those of one threshold that
accepts exactly the asked share of all halves; then accuracy beside raw scores, which are mean log-likelihood ratios of
models adapted from the UBM, and the 95 % interval of the difference.

    python recipes/benchmarks/rates.py [--data DIR] [--rows crowd 'wuw2-*'] [--halves 20] [--cache DIR]
    python recipes/benchmarks/rates.py --rows crowd --halves 3 --enrolled 5 20 --tests 4      # a quick look
    python recipes/benchmarks/rates.py --json > now.json
    python recipes/benchmarks/rates.py --compare now.json

DIR holds prepared copies as `malayalam_msc`, `librispeech_mini` and `wuw2`; without it they are downloaded. The whole
campaign takes hours on one core. Models are trained once and kept in `--cache DIR`: empty it after a change of the
training.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import rates_counts as counts
from halves import RATES, Half, Material, accepted, halves_of, missed, oracle
from rates_material import ROWS, Materials, Row, raw_scores
from recordings import Skip

from speechgmm.evaluation import Interval

SIZES = (1, 2, 5, 10, 20)
WIDTH = 250
"""Characters of the table."""


def raw_halves(material: Material, halves: Sequence[Half], raw: np.ndarray) -> list[Half]:
    """Return the same halves with raw scores (T, S) of all speakers."""
    place = {s: i for i, s in enumerate(material.speakers)}
    return [
        Half(h.enrolled, h.speaker, raw[:, [place[s] for s in h.enrolled]], np.full(len(h.limits), np.nan))
        for h in halves
    ]


def cell(halves: Sequence[Half], raw: Sequence[Half]) -> dict[str, Any]:
    """Return everything that is told of some halves of one size."""
    n, strangers = len(halves[0].enrolled), len(set(halves[0].speaker)) - len(halves[0].enrolled)
    found: dict[str, Any] = {"enrolled": n, "strangers": strangers, "rates": {}}
    for i, rate in enumerate(RATES):
        own = [float(h.limits[i]) for h in halves]
        if np.isnan(own).any():
            found["rates"][f"{rate:g}"] = {"verdict": "nothing is decided"}
            continue
        share, misses = accepted(halves, own), missed(halves, own)
        best = missed(halves, [oracle(halves, rate)] * len(halves))
        by_half = missed(halves, [oracle([h], rate) for h in halves])
        verdict = counts.judged(share, misses, best, rate, n, strangers)
        found["rates"][f"{rate:g}"] = {
            "accepted": _numbers(share),
            "missed": misses,
            "missed_by_oracle": best,
            "missed_by_oracle_of_each_half": by_half,
            "verdict": verdict,
        }
    accuracy = counts.accuracy(halves, raw)
    found["accuracy"] = {name: _numbers(i) for name, i in accuracy.items()}
    found["worse_than_raw"] = counts.worse(accuracy)
    return found


def measure(
    row: Row, materials: Materials, *, sizes: Sequence[int], halves: int, seed: int, most: int | None = None
) -> dict[str, Any]:
    """Return all figures of a row with the scores behind them, in types that JSON holds."""
    found: dict[str, Any] = {"row": row.name, "title": row.title, "seed": seed}
    try:
        material = materials.of(row, most)
    except Skip as reason:
        return {**found, "skipped": str(reason)}
    materials.say(f"{row.name}: {len(material.speakers)} speakers, {len(material.tests)} tests, {halves} halves")
    searched = halves_of(material, sizes, halves=halves, seed=seed, n_threads=materials.n_threads)
    raw = raw_scores(material, materials.n_threads)
    calibration = material.system.calibration
    least = 0.0 if calibration is None else calibration.least_seconds
    found["tests"] = {"name": [t.name for t in material.tests], "speaker": [t.speaker for t in material.tests]}
    found["shorter_than_is_decided"] = float(np.mean([t.speech_seconds < least for t in material.tests]))
    found["cells"] = [
        {**cell(h, raw_halves(material, h, raw)), "halves": [counts.stored(one) for one in h]}
        for h in searched.values()
    ]
    return found


def compared(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the accuracy of each cell of a row beside that of another run: the tests and halves that both have."""
    names = [side["tests"]["name"] for side in (ours, theirs)]
    both = sorted(set(names[0]) & set(names[1]))
    places = [[{name: i for i, name in enumerate(side)}[name] for name in both] for side in names]
    others = {c["enrolled"]: c for c in theirs["cells"]}
    found = []
    for c in ours["cells"]:
        if c["enrolled"] not in others:
            continue
        sides = []
        for row, one, place in zip((ours, theirs), (c, others[c["enrolled"]]), places, strict=True):
            halves = [counts.loaded(h, row["tests"]["speaker"], place) for h in one["halves"]]
            sides.append({h.enrolled: h for h in halves})
        same = [key for key in sides[0] if key in sides[1]]
        if not same:
            continue
        accuracy = counts.accuracy(*([side[key] for key in same] for side in sides))
        told = {name: _numbers(i) for name, i in accuracy.items()}
        found.append(
            {"enrolled": c["enrolled"], "halves": len(same), "accuracy": told, "worse": counts.worse(accuracy)}
        )
    return found


def broken(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is not as promised: the row, how many are enrolled, and what is wrong."""
    found = []
    for row in rows:
        for c in row.get("cells", ()):
            wrong = [f"{float(rate):.0%} {told['verdict']}" for rate, told in c["rates"].items()]
            wrong = (
                [w for w in wrong if not w.endswith((" ok", " -"))] if c["enrolled"] >= counts.LEAST_ENROLLED else []
            )
            wrong += [f"{name} worse than raw" for name in c["worse_than_raw"]]
            found += [f"{row['row']}, {c['enrolled']} enrolled: {'; '.join(wrong)}"] if wrong else []
    return found


def show(row: Mapping[str, Any], console: Console) -> None:
    """Print a row of the campaign as a table, or why there is none."""
    if "skipped" in row:
        console.print(f"[bold]{row['title']}[/bold]: left out, {row['skipped']}\n")
        return
    about = f"{len(row['tests']['name'])} tests, {row['shorter_than_is_decided']:.0%} shorter than what is decided on"
    rates = (f"{rate:.0%}: accepted; missed (oracle)" for rate in RATES)
    table = _table(f"{row['title']} ({about})", ("N", "others", *rates, *(f"{c} (raw; change)" for c in ACCURACY)))
    for c in row["cells"]:
        told = [_rate(c["rates"][f"{rate:g}"]) for rate in RATES]
        table.add_row(str(c["enrolled"]), str(c["strangers"]), *told, *_accuracy(c["accuracy"], c["worse_than_raw"]))
    console.print(table)


def show_compared(row: Mapping[str, Any], console: Console) -> None:
    """Print how accurate a row is beside another run."""
    table = _table(f"{row['title']}, beside another run", ("N", *(f"{c} (other; change)" for c in ACCURACY)))
    for c in row["compared"]:
        table.add_row(str(c["enrolled"]), *_accuracy(c["accuracy"], c["worse"]))
    console.print(table)


ACCURACY = {"EER, strangers": "eer_strangers", "EER, enrolled": "eer_enrolled", "found": "identified"}


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=i > 1, justify="right" if i < 2 else "left")
    return table


def _numbers(interval: Interval) -> list[float]:
    """Return an estimate and the ends of its interval."""
    return [interval.estimate, interval.low, interval.high]


def _percent(share: float) -> str:
    """Return a share in percent: three digits."""
    return f"{100 * share:.1f}" if share < 0.0995 else f"{100 * share:.0f}"


def _rate(told: Mapping[str, Any]) -> str:
    """Return the figures of one rate: accepted, its interval, missed, missed by an oracle, and what is wrong."""
    if "accepted" not in told:
        return str(told["verdict"])
    share, low, high = map(_percent, told["accepted"])
    missed, oracle = (f"{100 * told[key]:.0f}" for key in ("missed", "missed_by_oracle"))
    verdict = told["verdict"] if told["verdict"] in ("ok", "-") else told["verdict"].upper()
    return f"{share} ({low} to {high}); {missed} ({oracle}) {verdict}"


def _accuracy(told: Mapping[str, Sequence[float]], worse: Sequence[str]) -> list[str]:
    """Return the fields of accuracy beside another way of scoring."""
    fields = []
    for name in ACCURACY.values():
        if name not in told:
            fields.append("-")
            continue
        low, high = (f"{100 * x:+.1f}" for x in told[f"{name} change"][1:])
        now, before = (f"{100 * told[key][0]:.1f}" for key in (name, f"{name} before"))
        fields.append(f"{now} ({before}; {low} to {high})" + " WORSE" * (name in worse))
    return fields


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="prepared copies of the corpora; without it, they are downloaded")
    parser.add_argument("--rows", nargs="+", default=["*"], help="names or patterns; the amounts are '*/*/*'")
    parser.add_argument("--halves", type=int, default=20)
    parser.add_argument("--enrolled", type=int, nargs="+", default=list(SIZES), help="how many (default: %(default)s)")
    parser.add_argument("--tests", type=int, help="the most tests of a speaker, spread over all (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of the halves")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, help="where trained models are kept (default: nowhere)")
    parser.add_argument("--compare", type=Path, help="the JSON of another run: accuracy beside it, half by half")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--list", action="store_true", help="only name the rows")
    return parser.parse_args()


def main() -> None:
    """Measure the rows that are asked for, and print each when it is done."""
    given, began = _arguments(), time.monotonic()
    rows = [r for r in ROWS if any(fnmatch.fnmatchcase(r.name, pattern) for pattern in given.rows)]
    if given.list or not rows:
        print("\n".join(r.title for r in ROWS))
        return
    others = {} if given.compare is None else {r["row"]: r for r in json.loads(given.compare.read_text())["rows"]}
    console, found = Console(width=WIDTH), []
    with tempfile.TemporaryDirectory() as folder:
        (cache := given.cache or Path(folder)).mkdir(parents=True, exist_ok=True)

        def say(what: str) -> None:
            print(f"{time.monotonic() - began:7.0f} s  {what}", file=sys.stderr, flush=True)

        materials = Materials(given.data, cache, given.threads, say)
        for row in rows:
            measured = measure(
                row, materials, sizes=given.enrolled, halves=given.halves, seed=given.seed, most=given.tests
            )
            other = others.get(row.name, {})
            if "cells" in measured and "cells" in other:
                measured["compared"] = compared(measured, other)
            found.append(measured)
            if not given.json:
                show(measured, console)
                if "compared" in measured:
                    show_compared(measured, console)
    if given.json:
        print(json.dumps({"halves": given.halves, "rates": RATES, "broken": broken(found), "rows": found}))
        return
    print("\n".join(["Not as promised:", *broken(found)]) if broken(found) else "All is as promised.")


if __name__ == "__main__":
    main()
