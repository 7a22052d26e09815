"""Other people's microphones: how many strangers the packaged model lets in, before the store has learned and after.

The packaged model knows read audiobooks. Here are sentences that people read into their own telephones and laptops
(Malayalam Speech Corpus). In twenty random halves 5, 10 and 20 speakers are enrolled, all others are strangers, and 1,
5 and 10 % of the strangers may be let in. *Before*: scores and thresholds of the model alone. *After*: those of the
store, which has learned from the people who are enrolled in it.

    python recipes/other_microphones/run.py [--data DIR] [--picture OUT.png]
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
sys.path[:0] = [str(RECIPE.parent), str(RECIPE)]

import hundred_strangers  # noqa: E402
import pictures  # noqa: E402
import running  # noqa: E402
from halves import RATES, Material, Spoken, accepted, enrolled_once, halves_of, missed, model_alone, oracle  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

import speechgmm  # noqa: E402
from speechgmm.evaluation import Interval  # noqa: E402
from speechgmm.features import extract_all  # noqa: E402
from speechgmm.speakers import Scorer  # noqa: E402

SIZES = (5, 10, 20)
HALVES = 20


@dataclass(frozen=True)
class Outcome:
    """The share of strangers let in, of owners turned away, and of these where exactly the asked rate is let in."""

    strangers: Interval
    owners: float
    owners_at_best: float


Outcomes = Mapping[tuple[int, float], Mapping[str, Outcome]]


WAYS = {"before": model_alone, "after": Scorer.of}


def measure(
    manifest: Path, *, sizes: Sequence[int] = SIZES, halves: int = HALVES, speakers: int | None = None, seed: int = 0
) -> Outcomes:
    """Return the outcomes by number of enrolled and rate asked, among all speakers or the first `speakers` of them."""
    corpus, system = speechgmm.read_corpus(manifest), speechgmm.default_system()
    people = corpus.where(split="enroll").speakers[:speakers]
    enroll, test = (corpus.where(split=split, speaker=people) for split in ("enroll", "test"))
    kept = enrolled_once(system, enroll)
    heard = [e for e in extract_all(system.frontend, test) if not e.error and e.recording.speaker in kept.sessions]
    material = Material(system, kept, tuple(Spoken.of([e]) for e in heard))
    drawn = {w: halves_of(material, sizes, halves=halves, seed=seed, scorer_of=f) for w, f in WAYS.items()}
    found: dict[tuple[int, float], dict[str, Outcome]] = {}
    for size in drawn["after"]:
        for i, rate in enumerate(RATES):
            for way, of_size in drawn.items():
                hs = of_size[size]
                own, best = [float(h.limits[i]) for h in hs], [oracle(hs, rate)] * len(hs)
                told = Outcome(accepted(hs, own), missed(hs, own), missed(hs, best))
                found.setdefault((size, rate), {})[way] = told
    return found


def show(found: Outcomes) -> None:
    """Print what was asked, and what was measured before and after."""
    table = Table(title="strangers let in (95 % interval); owners turned away, at best", title_justify="left")
    for column in ("N", "asked", *WAYS):
        table.add_column(column, justify="right")
    for (size, rate), ways in found.items():
        cells = []
        for o in ways.values():
            s = o.strangers
            interval = f"({100 * s.low:.1f} to {100 * s.high:.1f})"
            cells.append(f"{s.estimate:.1%} {interval}; {o.owners:.0%}, {o.owners_at_best:.0%}")
        table.add_row(str(size), f"{rate:.0%}", *cells)
    Console().print(table)


if __name__ == "__main__":
    given = running.arguments(__doc__, picture="other_microphones.png")
    results = measure(running.manifest(RECIPE, given))
    show(results)
    pictures.save(hundred_strangers.draw({rate: results[SIZES[-1], rate] for rate in RATES}), given.picture)
