"""The commands about classes: classify train, predict, evaluate."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechgmm.cli import options
from speechgmm.cli.info import emit_training
from speechgmm.cli.output import Command, Commands, Listing, emit, facts, progress, table
from speechgmm.files import check_writable
from speechgmm.storage import kind_of

if TYPE_CHECKING:
    from speechgmm.classification import Classification, MixtureSettings
    from speechgmm.evaluation import Answer, Rule
    from speechgmm.features import Corpus

app = typer.Typer(cls=Commands, no_args_is_help=True, help="Words, sounds, languages: the likeliest class wins.")

Labeled = Annotated[str, options.argument("CORPUS", options.corpus("label"))]
Label = Annotated[str, options.option("--label", "COLUMN", "What is told apart; folders are labels.")]
Components = Annotated[int, typer.Option(min=1, help="Gaussians for each class.")]
Relevance = Annotated[float, typer.Option(min=0, help="Frames that the background of all classes counts for.")]
Backend = Annotated[
    str | None,
    options.option("--backend", "both|gmm|svm", "What tells classes apart: a mixture each, supervectors, or both."),
]
Alone = Annotated[bool, typer.Option("--alone", help="Train each class alone, without a background.")]
Folds = Annotated[str | None, options.option("--folds", "COLUMN", "Hold each value of this column out in turn.")]
Far = Annotated[
    float | None,
    options.option("--far", "RATE", "Reject what is foreign but for about this share, above 0 and below 1."),
]
Picture = Annotated[str | None, options.option("--picture", "OUT.png", "Draw the confusion matrix into this file.")]
Classifier = Annotated[str, options.argument("MODEL", "Model that classify train wrote.")]
ByModel = Annotated[str | None, options.option("--model", "MODEL", "Model that classify train wrote.")]


@app.command(cls=Command)
def train(
    corpus: Labeled,
    output: options.ModelFile,
    label: Label = "label",
    where: options.Where = None,
    features: options.Features = None,
    hop_length: options.HopLength = None,
    preset: options.Preset = None,
    components: Components = 64,
    relevance: Relevance = 4.0,
    alone: Alone = False,
    backend: Backend = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Train a classifier of recordings, with calibrated posteriors."""
    from speechgmm.classification import AudioClassifier, train_classifier

    check_writable(output, kind_of(AudioClassifier))
    recordings, labels, groups = _labeled(corpus, label, where, features)
    frontend = preset or options.features_frontend(recordings, features, hop_length)
    with progress() as report:
        training = train_classifier(
            recordings,
            labels,
            groups=groups,
            frontend=frontend,
            settings=_settings(components, None if alone else relevance),
            backend=backend,
            n_threads=threads,
            on_progress=report,
        )
    training.classifier.save(output)
    emit_training(as_json, training, training.classifier, output)


@app.command(cls=Command)
def predict(
    model: Classifier,
    files: options.SomeFiles = None,
    manifest: options.Manifest = None,
    where: options.Where = None,
    features: options.Features = None,
    far: Far = None,
    top: options.Top = 3,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Say what each recording is."""
    from speechgmm.classification import load_classifier

    rule = _rule(far)
    corpus = options.files_or_manifest(files, manifest, where, features, label="path")
    classifier = load_classifier(model)
    with progress() as report:
        answers = classifier.classify(corpus, rule=rule, n_threads=threads, on_progress=report)
    files_told = [_document(a, top) for a in answers]
    document = {"calibrated": classifier.calibration is not None, "files": files_told}
    shown = table("file", "label", ">posterior", "next", rows=map(_row, files_told))
    emit(as_json, document, shown, errors=((a.name, a.error) for a in answers))


@app.command(cls=Command)
def evaluate(
    corpus: Labeled,
    label: Label = "label",
    model: ByModel = None,
    folds: Folds = None,
    where: options.Where = None,
    features: options.Features = None,
    hop_length: options.HopLength = None,
    preset: options.Preset = None,
    components: Components = 64,
    relevance: Relevance = 4.0,
    alone: Alone = False,
    backend: Backend = None,
    far: Far = None,
    picture: Picture = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Show how often labels are found, by a model or by cross-validation over the folds of a column."""
    from speechgmm.classification import cross_validate, evaluate_classifier, load_classifier
    from speechgmm.plot import check_picture, plot_confusion, write_picture

    if (model is None) == (folds is None) or (folds and far is not None):
        options.usage("give --model, with --far as you like, or --folds")
    rule = _rule(far)
    if picture:
        check_picture(picture)
    recordings, labels, groups = _labeled(corpus, label, where, features)
    frontend = preset or options.features_frontend(recordings, features, hop_length)
    with progress() as report:
        shared: dict[str, Any] = {"groups": groups, "n_threads": threads, "on_progress": report}
        if model:
            found = evaluate_classifier(load_classifier(model), recordings, labels, rule=rule, **shared)
        else:
            parts = recordings.column(folds or "", "fold")
            settings = _settings(components, None if alone else relevance)
            shared |= {"frontend": frontend, "settings": settings, "backend": backend}
            found = cross_validate(recordings, labels, parts, **shared)
    if picture:
        write_picture(plot_confusion(found.confusion), picture)
    emit(as_json, found.as_dict(), facts(_rates(found)), "", _matrix(found), skipped=found.skipped)


def _labeled(
    source: str, label: str, where: list[str] | None, features: str | None
) -> "tuple[Corpus, tuple[str, ...], tuple[str, ...]]":
    """Return recordings, their labels, and who speaks in each where that is known and is not what is asked for."""
    # rows that --where leaves out need no label
    corpus = options.load_corpus(source, where, label="path", features=features)
    labels = corpus.column(label)
    speakers = tuple(r.speaker for r in corpus)
    return corpus, labels, ("",) * len(labels) if speakers == labels else speakers


def _rule(far: float | None) -> "Rule | None":
    """Return the rule by which what is foreign is rejected, if any."""
    return None if far is None else options.rule_of(far, None, None, None)


def _settings(components: int, relevance: float | None) -> "MixtureSettings":
    from speechgmm.classification.train import SETTINGS

    return replace(SETTINGS, n_components=components, relevance=relevance)


def _document(answer: "Answer", top: int) -> dict[str, Any]:
    """Return what JSON says of one recording."""
    from speechgmm.classification.classifier import label_of

    return {
        "file": answer.name,
        "status": answer.status,
        "label": label_of(answer),
        "candidates": [{"label": c.name, "posterior": c.posterior, "score": c.score} for c in answer.candidates[:top]],
        "speech_seconds": answer.speech_seconds,
        "error": answer.error,
    }


def _row(told: dict[str, Any]) -> tuple[str, ...]:
    """Return the row of a table that tells of one recording."""
    label, candidates = told["label"], told["candidates"]
    first = _percent(candidates[0]["posterior"]) if candidates else ""
    others = candidates[label is not None :]
    following = ", ".join(f"{c['label']} {_percent(c['posterior'])}".strip() for c in others)
    return told["file"], label or told["status"].replace("_", " "), first, following


def _percent(posterior: float | None) -> str:
    return "" if posterior is None else f"{100 * posterior:.1f} %"


def _rates(found: "Classification") -> dict[str, object]:
    """Return how often labels were found, with the interval."""
    rate = found.accuracy
    over = "speakers" if len(set(found.groups)) > 1 and 0 < rate.estimate < 1 else "files"  # else Wilson's
    interval = f"95 % interval {100 * rate.low:.1f} to {100 * rate.high:.1f} %"
    rows: dict[str, object] = {
        "files": len(found.truth),
        "right": f"{100 * rate.estimate:.1f} %, {interval} over {over}",
        "mean over classes": f"{100 * found.confusion.balanced_accuracy:.1f} %",
    }
    if found.cross_entropy == found.cross_entropy:  # NaN without calibration
        rows["cross-entropy"] = f"{found.cross_entropy:.3f} bits"
    return rows


def _matrix(found: "Classification") -> Listing:
    """Return the confusion matrix, or of more than 20 classes the most frequent mistakes."""
    confusion = found.confusion
    if len(confusion.labels) > 20:
        return table("truth", "taken for", ">times", rows=confusion.confusions(20), spare=())
    rows = ((n, *counts) for n, counts in zip(confusion.labels, confusion.counts.tolist(), strict=True))
    return table("truth \\ taken for", *(f">{n}" for n in confusion.labels), rows=rows, spare=())
