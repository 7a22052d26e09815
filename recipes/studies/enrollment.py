"""How much speech to enroll: LLRs of true speakers and of strangers by the seconds that were enrolled.

The packaged model, and the ten readers of `recipes/identify_readers`, whom it has never heard: each is enrolled with
the first seconds of speech of their four sentences, and tested on six others, against all ten.

    python recipes/studies/enrollment.py [--data DIR]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import halves
import running

import speechgmm
from speechgmm.features import extract_all
from speechgmm.speakers import Scorer, enroll_features

SECONDS = (1.0, 2.0, 5.0, 10.0, 17.0)


def run(manifest: Path, seconds: tuple[float, ...] = SECONDS) -> dict[float, dict[str, float]]:
    """Print and return, for each amount, the median LLRs and the share that is accepted at 1 % of strangers."""
    corpus, system = speechgmm.read_corpus(manifest), speechgmm.default_system()
    calibration, front = system.calibration, system.frontend
    assert calibration is not None
    enroll, test = corpus.where(split="enroll"), corpus.where(split="test")
    frames = {s: np.concatenate([front.from_file(r.path) for r in enroll.where(speaker=s)]) for s in enroll.speakers}
    heard = [e for e in extract_all(front, test) if not e.error]
    least = min(map(front.seconds, frames.values()))
    found = {}
    for amount in seconds:
        if amount > least:
            print(f"{amount:g} s is left out: a reader has {least:.1f} s of speech.")
            continue
        with halves.a_store(system) as store:
            for speaker, x in frames.items():
                enroll_features(system, store, speaker, x[: round(amount / front.hop_length)])
            scorer = Scorer.of(system, store)
            tests = [scorer.score_test([e]) for e in heard]
        limit = float(halves.limits(scorer, (0.01,))[0])
        llr, normalized = (np.stack([getattr(t, of) for t in tests]) for of in ("scores", "normalized"))
        own = np.array([e.recording.speaker for e in heard])[:, None] == np.array(scorer.models.names)
        found[amount] = {
            "true": float(np.median(llr[own])),
            "impostors": float(np.median(llr[~own])),
            "accepted": float((normalized[own] >= limit).mean()),
            "others": float((normalized[~own] >= limit).mean()),
        }
    table = Table("enrolled", "true speaker", "impostor", "true accepted", "impostors accepted")
    for amount, f in found.items():
        llrs = (f"{f[name]:.1f} nats" for name in ("true", "impostors"))
        table.add_row(f"{amount:g} s", *llrs, f"{f['accepted']:.0%}", f"{f['others']:.1%}")
    Console().print(table)
    return found


if __name__ == "__main__":
    run(running.manifest(Path(__file__).resolve().parent.parent / "identify_readers", running.arguments(__doc__)))
