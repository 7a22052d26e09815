"""The commands about models: train, info, features."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechgmm.checks import refuse
from speechgmm.cli.options import (
    CorpusArgument,
    FilesArgument,
    JsonOption,
    ModelOption,
    ThreadsOption,
    WhereOption,
    check_output,
    load_corpus,
    load_model,
    usage,
)
from speechgmm.cli.terminal import complain, counting, emit, exit_if_skipped, facts, progress, skipped, table

if TYPE_CHECKING:
    from speechgmm.features import MFCC, Corpus

ModelFile = Annotated[str, typer.Option("--output", "-o", metavar="MODEL", help="Model file.", show_default=False)]
ArrayFile = Annotated[str, typer.Option("--output", "-o", metavar="OUT.npz", help="Arrays.", show_default=False)]
Components = Annotated[int, typer.Option(min=1, help="Gaussians of the background model.")]
Relevance = Annotated[float, typer.Option(min=0, help="Frames that the background counts for when speakers adapt.")]
SampleRate = Annotated[int | None, typer.Option(metavar="HZ", help="Default: the lowest rate in the corpus.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed and data give the same model.")]
Location = Annotated[str, typer.Argument(metavar="MODEL|STORE", show_default=False, help="File or database URL.")]


class Preset(StrEnum):
    """Front ends by name."""

    speech = "speech"
    sound = "sound"


PresetOption = Annotated[Preset | None, typer.Option("--preset", help="Front end, where no model is given.")]


def train(
    corpus: CorpusArgument,
    output: ModelFile,
    where: WhereOption = None,
    components: Components = 256,
    relevance: Relevance = 4.0,
    sample_rate: SampleRate = None,
    seed: Seed = 0,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model on background speakers: people who will not be enrolled or tested."""
    from speechgmm.features import MFCC
    from speechgmm.speakers import train_system

    check_output(output)
    with progress() as report:
        training = train_system(
            load_corpus(corpus, where),
            components=components,
            relevance=relevance,
            frontend=None if sample_rate is None else MFCC(sample_rate=sample_rate),
            seed=seed,
            n_threads=threads,
            on_progress=report,
        )
    training.system.save(output)
    summary = training.system.summary()
    document = {"model": output, **summary, "warnings": list(training.warnings), "skipped": skipped(training.skipped)}
    emit(as_json, document, facts({"model": output} | _model_facts(summary)))
    for warning in training.warnings:
        complain(warning)
    exit_if_skipped((s.name, s.reason) for s in training.skipped)


def info(location: Location, as_json: JsonOption = False) -> None:
    """Show what a model or a store of speakers is, and how it was made."""
    from speechgmm.classification import load_classifier
    from speechgmm.cli.classify import classifier_facts
    from speechgmm.speakers import SpeakerStore, load_system
    from speechgmm.storage import read_header

    trace: list[Any] = []
    if _is_store(location):
        with SpeakerStore(location) as store:
            summary = store.summary()
        shown = {"type": "store of speakers"} | _store_facts(summary)
    elif read_header(location)["$type"] == "AudioClassifier":
        summary = load_classifier(location).summary()
        shown = {"type": "classifier"} | classifier_facts(summary)
    else:
        summary = load_system(location).summary()
        shown = {"type": "model"} | _model_facts(summary)
        trace = ["", _trace(summary)] if "em" in summary["info"] else []
    emit(as_json, summary, facts(shown), *trace)


def features(
    files: FilesArgument,
    output: ArrayFile,
    model: ModelOption = None,
    preset: PresetOption = None,
    threads: ThreadsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the features of recordings: an array for each file, and the settings as JSON under "frontend"."""
    from speechgmm.features import Corpus, write_features
    from speechgmm.parallel import threads as on_threads

    check_output(output)
    corpus = Corpus.from_files(files)
    frontend = _frontend(corpus, model, preset)
    with counting(len(corpus)) as count:
        written = write_features(frontend, corpus, output, mapper=on_threads(threads), on_progress=count)
    rows = [{"file": w.name, "frames": w.frames, "speech_seconds": w.seconds, "error": w.error} for w in written]
    document = {"output": output, "dimensions": frontend.n_dimensions, "fingerprint": frontend.fingerprint}
    shown = ((w.name, w.frames, f"{w.seconds:.2f}") for w in written)
    note = f"\n{frontend.n_dimensions} features a frame, {1000 * frontend.hop_length:g} ms a frame, in {output}"
    emit(as_json, {**document, "files": rows}, table("file", ">frames", ">speech, s", rows=shown), note)
    exit_if_skipped((w.name, w.error) for w in written if w.error)


def _frontend(corpus: Corpus, model: str | None, preset: Preset | None) -> MFCC:
    """Return the front end of the model or classifier, or the one of this name at the lowest rate of the files."""
    from speechgmm.classification import load_classifier
    from speechgmm.features import common_rate
    from speechgmm.features import preset as named
    from speechgmm.storage import read_header

    if model and preset:
        usage("give --model or --preset, not both")
    if model and read_header(model)["$type"] == "AudioClassifier":
        return load_classifier(model).frontend
    if preset is None:
        return load_model(model).frontend
    return named(preset.value, min(common_rate(corpus, minimum=8000), 48000))


def _is_store(location: str) -> bool:
    """Return whether this is a database; anything else may be a model."""
    if "://" in location:
        return True
    if not Path(location).is_file():
        refuse("a model or store", "be a file or a database URL", f"{location}, which is not", "Check the path.")
    with open(location, "rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _model_facts(summary: Mapping[str, Any]) -> dict[str, object]:
    """Return what people want to know of a model."""
    made = summary["info"]
    rows: dict[str, object] = {name: lines(text.split(), " ") for name, text in made.get("about", {}).items()}
    rows |= {
        "fingerprint": summary["fingerprint"],
        **_calibration_facts(summary.get("calibration")),
        "background": f"{summary['components']} components of {summary['dimensions']} features",
        "relevance": f"{summary['relevance']:g} frames",
        "front end": lines(f"{k}={v}" for k, v in summary["frontend"].items()),
    }
    if data := made.get("data"):
        rows["trained on"] = (
            f"{data['recordings']} recordings of {data['speakers']} speakers, {data['speech_seconds']:.1f} s of speech"
            f" ({data['skipped']} left out)"
        )
    if em := made.get("em"):
        trace = em["objective"]
        rows["EM"] = f"{len(trace)} iterations, {trace[0]:.3f} to {trace[-1]:.3f} nats a frame"
    if "seed" in made:
        rows["seed"] = made["seed"]
    if versions := made.get("versions"):
        rows["versions"] = lines(f"{k} {v}" for k, v in versions.items())
    return rows


def _calibration_facts(measured: Mapping[str, Any] | None) -> dict[str, object]:
    """Return how far to trust decisions."""
    if measured is None:
        return {"calibrated": "no: scores rank, they do not decide"}
    rows: dict[str, object] = {"calibrated": "yes"}
    if not measured:
        return rows
    on = (
        f"{measured['speakers']} background speakers in turn, unknown to the model that scored them; "
        f"{measured['tests']} tests of {measured['seconds'][0]:g} to {measured['seconds'][2]:g} s, enrolled and "
        f"tested from different {measured['by']}"
    )
    rows["calibrated on"] = lines(on.split(), " ")
    rows["EER"] = "{:.1%}, 95 % within {:.1%} and {:.1%}".format(*measured["eer"])
    for r in measured["per_search"]:
        told = (
            f"{r['measured']:.1%} accepted, 95 % within {r['low']:.1%} and {r['high']:.1%}; {r['missed']:.1%} of the "
            f"{measured['enrolled']} enrolled not found"
        )
        rows[f"{r['asked']:.0%} of strangers"] = lines(told.split(), " ")
    return rows


def _store_facts(summary: Mapping[str, Any]) -> dict[str, object]:
    return {
        "of the model": summary["fingerprint"],
        "speakers": summary["speakers"],
        "sessions": summary["sessions"],
        "recordings": summary["recordings"],
        "speech": f"{summary['speech_seconds']:.1f} s",
    }


def lines(words: Iterable[str], between: str = ", ") -> str:
    """Return words on lines that fit beside the names of `facts` in 80 columns."""
    return textwrap.fill(between.join(words), 64, break_long_words=False, break_on_hyphens=False)


def _trace(summary: Mapping[str, Any]) -> Any:
    """Return a table of the objective at each iteration, and what else its step did."""
    em = summary["info"]["em"]
    gains = [""] + [f"{b - a:+.4f}" for a, b in zip(em["objective"], em["objective"][1:], strict=False)]
    notes = [", ".join(f"{count} {what}" for what, count in n.items()) for n in em["notes"]]
    rows = zip(range(1, len(gains) + 1), (f"{o:.4f}" for o in em["objective"]), gains, notes, strict=True)
    return table(">iteration", ">nats a frame", ">gain", "notes", rows=rows)
