"""How often strangers are accepted who were never seen, where a rate is asked for: half enrolled, half strangers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import halves
from rich.console import Console
from rich.table import Table

from speechgmm.evaluation import Interval
from speechgmm.features import Recording, extract_all
from speechgmm.speakers import System

__all__ = ["false_accepts", "show_strangers"]

HALVES = 10


def false_accepts(
    system: System, enroll: Sequence[Recording], test: Sequence[Recording], *, drawn: int = HALVES, seed: int = 0
) -> dict[float, Interval]:
    """Return the share of strangers' tests accepted for each rate that is asked, with its interval over speakers.

    Again and again another half of the speakers is enrolled, and the tests of the others are searches of strangers.
    """
    kept = halves.enrolled_once(system, enroll)
    heard = [e for e in extract_all(system.frontend, test) if not e.error and e.recording.speaker in kept.sessions]
    material = halves.Material(system, kept, tuple(halves.Spoken.of([e]) for e in heard))
    (searched,) = halves.halves_of(material, [len(material.speakers) // 2], halves=drawn, seed=seed).values()
    limits = {rate: [float(h.limits[i]) for h in searched] for i, rate in enumerate(halves.RATES)}
    return {rate: halves.accepted(searched, own) for rate, own in limits.items()}


def show_strangers(found: Mapping[float, Interval]) -> None:
    """Print what was asked and what was measured."""
    table = Table(title="Strangers accepted per search", title_justify="left")
    for column in ("asked", "measured", "95 % interval"):
        table.add_column(column, justify="right")
    for far, i in found.items():
        table.add_row(f"{far:.0%}", f"{i.estimate:.1%}", f"{i.low:.1%} to {i.high:.1%}")
    Console().print(table)
