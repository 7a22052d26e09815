"""What adaptation to unlabeled recordings does: error rates, and strangers accepted for a rate that is asked.

The packaged model for telephones on the calls of `recipes/verify_telephone`: as it is, and adapted to the utterances of
its background callers, who are neither enrolled nor tested.

    python recipes/studies/adaptation.py [--data DIR]
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import packaged_model
import running
import strangers

import speechgmm
from speechgmm.speakers import packaged_rate

RELEVANCES = (4.0, 8.0, 16.0)


def run(
    manifest: Path, relevances: tuple[float, ...] = RELEVANCES, *, halves: int = strangers.HALVES
) -> dict[str, dict[str, float]]:
    """Print and return the error rates of each model, and which share of strangers it accepts, of so many halves."""
    corpus = speechgmm.read_corpus(manifest)
    packaged, background = speechgmm.default_system(packaged_rate(corpus)), corpus.where(split="ubm")
    systems = {"as it is": packaged}
    for relevance in relevances:
        systems[f"relevance {relevance:g}"] = speechgmm.adapt_system(packaged, background, relevance=relevance).system
    found = {}
    for name, system in systems.items():
        result = speechgmm.evaluate(running.scored(system, corpus))
        found[name] = {"EER": result.eer, "identified": result.identification_rate or 0.0}
        accepted = packaged_model.check(system, manifest, halves=halves)
        found[name] |= {f"strangers at {asked:.0%}": share.estimate for asked, share in accepted.items()}
    table = Table("", *found["as it is"])
    for name, rates in found.items():
        table.add_row(name, *(f"{rate:.1%}" for rate in rates.values()))
    Console().print(table)
    return found


if __name__ == "__main__":
    run(running.manifest(Path(__file__).resolve().parent.parent / "verify_telephone", running.arguments(__doc__)))
