"""People of whom there are features alone: quick to train on."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def twenty_people(folder: Path) -> Path:
    """Write three files of features for each of twenty people, as few as a calibration takes; return their manifest."""
    rng = np.random.default_rng(0)
    rows = ["path,speaker"]
    for person in range(20):
        places = rng.normal(0, 1.5, (3, 4))
        for i in range(3):
            np.save(folder / f"p{person}_{i}.npy", places[rng.integers(0, 3, 120)] + rng.normal(size=(120, 4)))
            rows.append(f"p{person}_{i}.npy,p{person}")
    (folder / "m.csv").write_text("\n".join(rows))
    return folder / "m.csv"
