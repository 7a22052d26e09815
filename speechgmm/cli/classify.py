"""The commands about classes: classify train, predict, evaluate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechgmm.checks import refuse
from speechgmm.cli.modeling import ModelFile, Preset, lines
from speechgmm.cli.options import (
    CORPUS,
    JsonOption,
    ManifestOption,
    ModelOption,
    ThreadsOption,
    WhereOption,
    check_output,
    load_corpus,
    usage,
)
from speechgmm.cli.terminal import Commands, complain, counting, emit, exit_if_skipped, facts, progress, skipped, table

if TYPE_CHECKING:
    from rich.table import Table

    from speechgmm.classification import Classification, Classified, MixtureSettings
    from speechgmm.features import Corpus

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Words, sounds, languages: the likeliest class wins.")

LABELED = CORPUS.replace("speaker", "label")
LabeledArgument = Annotated[str, typer.Argument(metavar="CORPUS", help=LABELED, show_default=False)]
LabelOption = Annotated[str, typer.Option("--label", metavar="COLUMN", help="What is told apart; folders are labels.")]
PresetOption = Annotated[Preset, typer.Option("--preset", help="Front end: of speech alone, or of every frame.")]
Components = Annotated[int, typer.Option(min=1, help="Gaussians a class.")]
Relevance = Annotated[float, typer.Option(min=0, help="Frames that the background of all classes counts for.")]
Alone = Annotated[bool, typer.Option("--alone", help="Train each class alone, without a background.")]
FoldsOption = Annotated[
    str | None, typer.Option("--folds", metavar="COLUMN", help="Hold each value of this column out in turn.")
]
FarOption = Annotated[
    float | None, typer.Option("--far", min=0, max=1, help="Reject what is foreign; accept it at this rate.")
]
PictureOption = Annotated[
    str | None, typer.Option("--picture", metavar="OUT.png", help="Draw the confusion matrix into this file.")
]
ClassifierArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Model that train wrote.", show_default=False)]
Files = Annotated[list[str] | None, typer.Argument(metavar="FILE", help="Recordings.", show_default=False)]
Top = Annotated[int, typer.Option(min=1, help="How many candidates to show.")]


@app.command()
def train(
    corpus: LabeledArgument,
    output: ModelFile,
    label: LabelOption = "label",
    where: WhereOption = None,
    preset: PresetOption = Preset.speech,
    components: Components = 64,
    relevance: Relevance = 4.0,
    alone: Alone = False,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier of recordings, with calibrated posteriors."""
    from speechgmm.classification import train_classifier

    check_output(output)
    recordings, labels, groups = _labeled(corpus, label, where)
    with progress() as report:
        training = train_classifier(
            recordings,
            labels,
            groups=groups,
            frontend=preset.value,
            settings=_settings(components, None if alone else relevance),
            n_threads=threads,
            on_progress=report,
        )
    training.classifier.save(output)
    summary = training.classifier.summary()
    document = {"model": output, **summary, "warnings": list(training.warnings), "skipped": skipped(training.skipped)}
    emit(as_json, document, facts({"model": output} | classifier_facts(summary)))
    for warning in training.warnings:
        complain(warning)
    exit_if_skipped((s.name, s.reason) for s in training.skipped)


@app.command()
def predict(
    model: ClassifierArgument,
    files: Files = None,
    manifest: ManifestOption = None,
    where: WhereOption = None,
    far: FarOption = None,
    top: Top = 3,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what each recording is."""
    from speechgmm.classification import load_classifier
    from speechgmm.features import Corpus
    from speechgmm.parallel import threads as on_threads

    if bool(files) == (manifest is not None) or (files and where):
        usage("give files, or --manifest with --where as you like")
    corpus = load_corpus(manifest, where, label="path") if manifest else Corpus.from_files(files or [])
    classifier = load_classifier(model)
    with counting(len(corpus)) as count:
        answers = classifier.classify(corpus, far=far, mapper=on_threads(threads), on_progress=count)
    document = {"calibrated": classifier.calibration is not None, "files": [_answer(a, top) for a in answers]}
    emit(as_json, document, table("file", "label", ">posterior", "next", rows=_rows(answers, top)))
    exit_if_skipped((a.file, a.error) for a in answers if a.error)


@app.command()
def evaluate(
    corpus: LabeledArgument,
    label: LabelOption = "label",
    model: ModelOption = None,
    folds: FoldsOption = None,
    where: WhereOption = None,
    preset: PresetOption = Preset.speech,
    components: Components = 64,
    relevance: Relevance = 4.0,
    alone: Alone = False,
    far: FarOption = None,
    picture: PictureOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how often labels are found, by a model or by cross-validation over the folds of a column."""
    from speechgmm.classification import cross_validate, evaluate_classifier, load_classifier

    if (model is None) == (folds is None) or (folds and far is not None):
        usage("give --model, with --far as you like, or --folds")
    if picture:
        check_output(picture)
    recordings, labels, groups = _labeled(corpus, label, where)
    shared: dict[str, Any] = {"groups": groups, "n_threads": threads}
    with progress() as report:
        if model:
            found = evaluate_classifier(
                load_classifier(model), recordings, labels, far=far, on_progress=report, **shared
            )
        else:
            parts = _column(recordings, folds or "")
            settings = _settings(components, None if alone else relevance)
            shared |= {"frontend": preset.value, "settings": settings, "on_progress": report}
            found = cross_validate(recordings, labels, parts, **shared)
    _show(found, as_json, picture)


def classifier_facts(summary: dict[str, Any]) -> dict[str, object]:
    """Return what people want to know of a classifier."""
    made = summary["info"]
    rows: dict[str, object] = {
        "fingerprint": summary["fingerprint"],
        "labels": lines(f"{n} ({made['data']['sounds'][n]})" if made else n for n in summary["labels"]),
        "components": lines(sorted({str(k) for k in summary["components"]}, key=int)),
        "calibrated": "yes" if summary["calibrated"] else "no: posteriors are not known",
        "rejects": "yes, with --far" if summary["rejects"] else "no: too few classes or sounds",
        "front end": lines(f"{k}={v}" for k, v in summary["frontend"].items()),
    }
    if made:
        rows["trained on"] = f"{made['data']['seconds']:.1f} s ({made['data']['skipped']} recordings left out)"
        rows["versions"] = lines(f"{k} {v}" for k, v in made["versions"].items())
    return rows


def _labeled(source: str, label: str, where: list[str] | None) -> tuple[Corpus, tuple[str, ...], tuple[str, ...]]:
    """Return recordings, their labels, and who speaks in each where that is known and is not what is asked for."""
    from speechgmm.classification import labels_of

    corpus = load_corpus(source, where, label="path")  # rows that --where leaves out need no label
    labels = labels_of(corpus, label)
    speakers = tuple(r.speaker for r in corpus)
    return corpus, labels, ("",) * len(labels) if speakers == labels else speakers


def _column(corpus: Corpus, name: str) -> tuple[str, ...]:
    """Return a column of all recordings."""
    if known := [r.name for r in corpus if not r.columns.get(name)]:
        refuse(f"the column {name!r}", "hold a fold for every recording", f"nothing for {known[0]}")
    return tuple(r.columns[name] for r in corpus)


def _settings(components: int, relevance: float | None) -> MixtureSettings:
    from dataclasses import replace

    from speechgmm.classification.train import SETTINGS

    return replace(SETTINGS, n_components=components, relevance=relevance)


def _answer(answer: Classified, top: int) -> dict[str, object]:
    return asdict(answer) | {"candidates": [asdict(c) for c in answer.candidates[:top]]}


def _rows(answers: Iterable[Classified], top: int) -> Iterable[tuple[str, ...]]:
    for a in answers:
        words = [f"{c.label} {_percent(c.posterior)}".strip() for c in a.candidates[:top]]
        first = a.candidates[0].posterior if a.candidates else None
        yield a.file, a.label or a.status.replace("_", " "), _percent(first), ", ".join(words[a.label is not None :])


def _percent(posterior: float | None) -> str:
    return "" if posterior is None else f"{100 * posterior:.1f} %"


def _show(found: Classification, as_json: bool, picture: str | None) -> None:
    if picture:
        from speechgmm.plot import plot_confusion

        plot_confusion(found.confusion).figure.savefig(picture, dpi=150)
    rate = found.accuracy
    over = "speakers" if len(set(found.groups)) > 1 and 0 < rate.estimate < 1 else "files"  # else Wilson's
    interval = f"95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %"
    summary = {
        "files": len(found.truth),
        "right": f"{100 * rate.estimate:.1f} %, {interval} over {over}",
        "mean over classes": f"{100 * found.confusion.balanced_accuracy:.1f} %",
    }
    if found.cross_entropy == found.cross_entropy:  # NaN without calibration
        summary["cross-entropy"] = f"{found.cross_entropy:.3f} bits"
    emit(as_json, found.as_dict() | {"skipped": skipped(found.skipped)}, facts(summary), "", _matrix(found))
    exit_if_skipped((s.name, s.reason) for s in found.skipped)


def _matrix(found: Classification) -> Table:
    """Return the confusion matrix, or of more than 20 classes the most frequent mistakes."""
    confusion = found.confusion
    if len(confusion.labels) > 20:
        return table("truth", "taken for", ">times", rows=confusion.confusions(20))
    rows = ((n, *map(str, counts)) for n, counts in zip(confusion.labels, confusion.counts.tolist(), strict=True))
    return table("truth \\ taken for", *(f">{n}" for n in confusion.labels), rows=rows)
