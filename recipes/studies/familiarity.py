"""How often recordings are called unfamiliar: a model's own kind, spoiled speech, and sounds that nobody spoke.

Models are trained on the background rows of two corpora, and meet their other rows, what `strange_sounds.py` makes of
them, environmental sounds, and people's own telephones: alone, and after five of these were enrolled.

    python recipes/studies/familiarity.py --data DIR [--models DIR] [--reasons]

DIR holds prepared copies as `librispeech_mini`, `wuw2`, `malayalam_msc` and `esc10`; espeak-ng and flite must be
installed. With --models the trained models are kept there, and used where they are.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from strange_sounds import MAKERS, Array

import speechgmm
from speechgmm.features import Extracted, Signal, extract_all, read
from speechgmm.features.audio import resample
from speechgmm.speakers.familiarity import Familiarity, measures_of

CORPORA = ("librispeech_mini", "wuw2")
MOST = 50
"""Sounds of each kind."""
DOMAINS, ENROLLED = 40, 5
"""Draws of so many enrolled people."""


def model(data: Path, corpus: str, kept: Path | None) -> speechgmm.System:
    """Return the model of a corpus's background."""
    path = kept / f"{corpus}.sgmm" if kept else None
    if path and path.exists():
        return speechgmm.load_system(path)
    system = speechgmm.train_system(speechgmm.read_corpus(data / corpus / "metadata.csv").where(split="ubm")).system
    if path:
        system.save(path)
    return system


def rows(system: speechgmm.System, sounds: Iterable[object]) -> list[tuple[Extracted, Array]]:
    """Return what could be extracted, with its measures."""
    found = extract_all(system.frontend, sounds, lambda e: (e, None if e.error else measures_of(system.ubm, e)))  # type: ignore[arg-type]
    return [(e, m) for e, m in found if m is not None]


def share(familiarity: Familiarity, measures: Iterable[Array]) -> float:
    """Return how many are unfamiliar."""
    return float(np.mean([familiarity.assess(m) is not None for m in measures]))


def strange(system: speechgmm.System, data: Path, corpus: str) -> Iterator[tuple[str, list[Signal]]]:
    """Yield the strange sounds of each kind."""
    rate = system.frontend.sample_rate
    tests = tuple(speechgmm.read_corpus(data / corpus / "metadata.csv").where(split=("enroll", "test")))
    chosen = [tests[i] for i in np.linspace(0, len(tests) - 1, min(2 * MOST, len(tests))).round().astype(int)]
    signals = [read(r.path).samples.astype(float) for r in chosen]
    for kind, make in MAKERS.items():
        rng = np.random.default_rng(7)
        sounds = []
        for i in range(0, len(chosen), 2):
            others = [s for r, s in zip(chosen, signals, strict=True) if r.speaker != chosen[i].speaker]
            sounds.append(Signal(make(signals[i], others, rate, rng).astype(np.float32), rate))
        yield kind, sounds


def environment(data: Path, rate: int) -> list[Signal]:
    """Return some environmental sounds of each kind at a rate."""
    files = sorted((data / "esc10").glob("*/*.ogg"))[::4]
    return [resample(read(f), rate) for f in files]


def domains(system: speechgmm.System, data: Path) -> tuple[float, list[float]]:
    """Return how often people's own telephones are unfamiliar: to the model, and after five people were enrolled."""
    assert system.familiarity is not None
    corpus = speechgmm.read_corpus(data / "malayalam_msc" / "metadata.csv")
    enrolled: dict[str, list[Array]] = {}
    for e, m in rows(system, corpus.where(split="enroll")):
        enrolled.setdefault(e.recording.speaker, []).append(m)
    means = {speaker: np.mean(m, axis=0) for speaker, m in enrolled.items()}
    tests = rows(system, corpus.where(split="test"))
    rng, found = np.random.default_rng(0), []
    for _ in range(DOMAINS):
        people = rng.permutation(sorted(means))[:ENROLLED]
        found.append(share(system.familiarity.among(means[p] for p in people), [m for _, m in tests]))
    return share(system.familiarity, [m for _, m in tests]), found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument(
        "--reasons", action="store_true", help="also print the first words of what was said, and how often"
    )
    given = parser.parse_args()
    table, said = Table(), Table()
    for column in ("", *(f"{c}: sounds, unfamiliar %" for c in CORPORA)):
        table.add_column(column)
    cells: dict[str, list[str]] = {}
    for corpus in CORPORA:
        system = model(given.data, corpus, given.models)
        familiarity = system.familiarity
        assert familiarity is not None
        own = speechgmm.read_corpus(given.data / corpus / "metadata.csv").where(split=("enroll", "test"))
        kinds = itertools.chain(
            [("own", own)],
            strange(system, given.data, corpus),
            [("esc10", environment(given.data, system.frontend.sample_rate))],
        )
        for kind, sounds in kinds:
            found = [m for _, m in rows(system, sounds)]
            cells.setdefault(kind, []).append(f"{len(found):5d} {100 * share(familiarity, found):6.1f}")
            reasons = Counter(u.reason.split(";")[0] for m in found if (u := familiarity.assess(m)))
            words = Counter(" ".join(w for w in r.split() if not any(c.isdigit() for c in w))[:60] for r in reasons)
            said.add_row(corpus, kind, ", ".join(f"{n} {w}" for w, n in words.most_common(4)))
            print(corpus, kind, cells[kind][-1], flush=True)
        if corpus == "librispeech_mini":
            alone, after = domains(system, given.data)
    for kind, values in cells.items():
        table.add_row(kind, *values)
    Console().print(table)
    print(
        f"malayalam_msc, librispeech_mini's model: {100 * alone:.0f} % unfamiliar; with {ENROLLED} enrolled "
        f"{100 * np.mean(after):.1f} % (at most {100 * max(after):.1f} % in {DOMAINS} draws)"
    )
    if given.reasons:
        Console().print(said)


if __name__ == "__main__":
    main()
