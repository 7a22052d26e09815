"""The command score: tests against enrolled speakers, into a table of scores."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechgmm.cli import options
from speechgmm.cli.output import emit, facts, progress
from speechgmm.files import check_writable

if TYPE_CHECKING:
    from speechgmm import evaluation

ScoresFile = Annotated[str, options.output("SCORES", "Text, or arrays if it ends in .npz.")]
Store = Annotated[
    str | None,
    options.option(
        "--store", "STORE", "Enrolled speakers: SQLite file or database URL; none: the trials name recordings."
    ),
]
LINES = (
    "Lines '1|0 enroll test' or 'enroll test target|nontarget'; recordings are names in the manifest or in --features"
)
Trials = Annotated[
    str | None, options.option("--trials", "TRIALS", f"{LINES} or, without one, paths relative to this file.")
]
By = Annotated[
    Literal["file", "session"] | None,
    typer.Option("--by", help="What one test is: each file (the default), or all files of a speaker's session."),
]
KEEP = (
    "Column of the manifest that SCORES keeps as a condition of its tests, for evaluate --by; repeat for several. "
    "One called attack names attacks, which evaluate tells apart."
)
Keep = Annotated[list[str] | None, options.option("--keep", "COLUMN", KEEP)]

Failures = Annotated[
    bool, typer.Option("--failures", help="Keep trials that failed, as rows without a score: evaluate counts them.")
]

EITHER = "give --manifest with --where and --by as you like, or --trials, or --trials and --manifest without --by"


def score(
    output: ScoresFile,
    store: Store = None,
    key_file: options.KeyFile = None,
    model: options.Model = None,
    manifest: options.Manifest = None,
    where: options.Where = None,
    features: options.Features = None,
    by: By = None,
    keep: Keep = None,
    failures: Failures = False,
    trials: Trials = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Score each test of a manifest against all enrolled speakers, or the pairs of a trial list.

    Without --store the pairs are of two recordings, as in the lists of VoxCeleb: the first counts as enrolled alone.
    """
    from speechgmm.evaluation import SCORES, read_trials, write_scores
    from speechgmm.features import listed_features
    from speechgmm.speakers import enrolled_models, score_corpus, score_trials

    if (manifest is None and (where or trials is None)) or (by is not None and trials is not None):
        options.usage(EITHER)
    if keep and manifest is None:
        options.usage("--keep takes columns of a --manifest")
    if store is None and trials is None:
        options.usage("give --store, or --trials of recordings on both sides")
    check_writable(output, SCORES)
    pairs = read_trials(trials) if trials else None
    corpus = listed_features(features) if features and not manifest else None
    corpus = options.load_corpus(manifest, where, features=features) if manifest else corpus
    system = options.model_for(model, store, corpus or _named(pairs, trials), key_file=key_file)
    with contextlib.ExitStack() as stack, progress() as report:
        opened = stack.enter_context(options.open_store(store, key_file, system)) if store else None
        shared: dict[str, Any] = {"keep": keep or (), "n_threads": threads, "on_progress": report}
        if pairs and trials:
            done = score_trials(system, opened, pairs, corpus, folder=Path(trials).parent, **shared)
        elif opened:
            done = score_corpus(system, opened, corpus or (), by=by or "file", **shared)
        damaged = enrolled_models(system, opened).damaged if opened else ()
    write_scores(_written(done.scores, failures), output)
    emit(as_json, told := _counts(output, done.scores), facts(told), damaged=damaged, skipped=done.skipped)


def _written(scores: "evaluation.Scores", failures: bool) -> "evaluation.Scores":
    """Return scores without the trials that failed, unless these are to be kept: a program may expect numbers."""
    told = scores.failures and scores.failures.lists
    return replace(scores, failures=None) if told and not failures else scores


def _named(pairs: "evaluation.Trials | None", path: str | None) -> Iterator[Path]:
    """Yield the recordings that a trial list names by paths relative to itself, on both sides."""
    if pairs is not None and path is not None:
        for index in (pairs.speakers, pairs.tests):
            yield from (Path(path).parent / name for name in index.names.tolist())


def _counts(path: str, scores: "evaluation.Scores") -> dict[str, object]:
    """Return how many trials, targets, tests and speakers a table has, and trials of attacks, which are no targets."""
    from speechgmm.evaluation.trials import attack_rows

    attacked = attack_rows(scores)
    attacks = {} if scores.attack is None else {"attacks": int(attacked.sum())}
    return {
        "scores": path,
        "trials": len(scores),
        "targets": int(((scores.target == 1) & ~attacked).sum()),
        **attacks,
        "tests": len(scores.tests.names),
        "speakers": len(scores.speakers.names),
    }
