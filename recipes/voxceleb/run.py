"""VoxCeleb 1: a background model from its dev part, and the official trials of its test part.

    python recipes/voxceleb/run.py --dev VOX1/dev/wav --test VOX1/test/wav --trials veri_test2.txt --work DIR

Trains and calibrates a model on the people of the dev part, scores each pair of recordings of a list of trials, and
evaluates the scores. WORK keeps the features of all recordings, what the training has done, the model and the scores:
given again, the same command goes on where it was ended, whatever ended it. `plan.py` says beforehand what that takes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from results import Result, show
from rich.console import Console

import speechgmm
from speechgmm.checks import refuse
from speechgmm.evaluation import read_trials, write_scores
from speechgmm.features import preset
from speechgmm.speakers import remove_checkpoint, score_trials

RATE = 16_000


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dev", type=Path, required=True, help="folder of background speakers, of VoxCeleb 1 or 2")
    parser.add_argument("--test", type=Path, required=True, help="folder of the recordings that the trials name")
    parser.add_argument("--trials", type=Path, required=True, help="an official list, such as veri_test2.txt")
    parser.add_argument("--work", type=Path, required=True, help="a folder for all that is made")
    parser.add_argument("--components", type=int, default=512, help="default: %(default)s")
    parser.add_argument("--max-failures", type=int, help="stop once more recordings cannot be used (default: never)")
    return parser.parse_args()


def run(
    dev: Path,
    test: Path,
    trials: Path,
    work: Path,
    *,
    n_components: int = 512,
    max_failures: int | None = None,
    replicates: int | None = None,
) -> Result:
    """Train, score and evaluate; `max_failures` as in `speechgmm.train_system`, `replicates` as in `evaluate`."""
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SPEECHGMM_CACHE", str(work / "features"))
    os.environ.setdefault("SPEECHGMM_CACHE_LIMIT", "1 TB")
    background, tested = speechgmm.read_corpus(dev), speechgmm.read_corpus(test)
    known = sorted(set(background.speakers) & set(tested.speakers))
    if known:
        refuse("the people of --dev", "be none of those of --test", f"{len(known)} of them, such as {known[0]}")
    skipped, model = (), work / f"{n_components}.sgmm"
    if not model.is_file():
        checkpoint = work / "checkpoint"
        made = speechgmm.train_system(
            background,
            n_components=n_components,
            frontend=preset("speech", RATE),
            checkpoint=checkpoint,
            resume=True,
            max_failures=max_failures,
            on_progress=told,
        )
        made.system.save(model)
        remove_checkpoint(checkpoint)
        skipped = made.skipped
    system = speechgmm.load_system(model)
    done = score_trials(system, None, read_trials(trials), tested, on_progress=told)
    write_scores(done.scores, work / "scores.npz")
    return Result(speechgmm.evaluate(done.scores, replicates=replicates), skipped + done.skipped)


def told(stage: str, done: int, total: int) -> None:
    """Print how far a stage is, a hundred times at most."""
    if done == total or done % max(1, total // 100) == 0:
        Console(stderr=True).print(f"{stage}: {done} of {total}")


if __name__ == "__main__":
    given = arguments()
    show(
        run(
            given.dev,
            given.test,
            given.trials,
            given.work,
            n_components=given.components,
            max_failures=given.max_failures,
        )
    )
