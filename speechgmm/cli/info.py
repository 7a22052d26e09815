"""The command info: what a model, a classifier, a store, an export or a calibration is, and how it was made."""

import math
import os
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from speechgmm.checks import enumerated, refuse
from speechgmm.cli import options
from speechgmm.cli.calibrate import calibration_parts
from speechgmm.cli.output import Listing, emit, facts, table
from speechgmm.errors import InvalidInput

if TYPE_CHECKING:
    from speechgmm.classification import AudioClassifier
    from speechgmm.speakers import Cost, SpeakerStore, System

Location = Annotated[str, options.argument("MODEL|STORE|EXPORT|INDEX|CALIBRATION", "File or database URL.")]
StoreModel = Annotated[
    str | None,
    options.option("--model", "MODEL", "Of the STORE, to tell what rates cost; default: the packaged one."),
]
BACKENDS = {
    "both": "a mixture for each class, and a linear machine on supervectors",
    "gmm": "a mixture for each class",
    "svm": "supervectors of a background, and a linear machine",
}
NO_MODEL = "what a rate of false accepts costs here takes the model that the store is of: give --model"
KEPT = (
    "{:.0f} kB of statistics a session; beside these {:.0f} kB of statistics and frames a recording. "
    "They are personal data, deleted with the session"
)


def info(
    location: Location, model: StoreModel = None, key_file: options.KeyFile = None, as_json: options.Json = False
) -> None:
    """Show what a model, a store, an export or index of speakers, or a calibration of scores is."""
    if _is_store(location):
        _store_info(location, key_file, model, as_json)
        return
    if model is not None:
        options.usage("--model says of which model a STORE is; give the model alone")
    if _is_index(location):
        _index_info(location, as_json)
        return
    if (kind := _type(location)) == "TableCalibration":
        from speechgmm.evaluation import load_calibration

        calibration = load_calibration(location)
        emit(as_json, calibration.as_dict(), *calibration_parts(calibration, {"type": "calibration of scores"}))
        return
    if kind in ("SpeakerExport", "Export"):
        _export_info(location, as_json)
        return
    made = options.load_model_or_classifier(location)
    summary, parts = made.summary(), list[Listing | str]()
    document = summary
    if summary["type"] != "AudioClassifier":
        costs = _costs(made)
        document = {**summary, "errors_by_speech": [asdict(c) for c in costs]}
        parts += _cost_table(costs)
    kind = "classifier" if summary["type"] == "AudioClassifier" else "model"
    em = None if _strange(summary) else summary.get("info", {}).get("em")
    parts += ["", _trace(em)] if em else []
    emit(as_json, document, facts({"type": kind} | _facts_of(summary)), *parts)


def _store_info(location: str, key_file: str | None, model: str | None, as_json: bool) -> None:
    """Show how much a store holds, and, with the model that it is of, what a rate of false accepts costs there."""
    from speechgmm.speakers import packaged_with, unfamiliar_recordings

    system = None if model is None else options.model_for(model)
    with options.open_store(location, key_file, system) as store:
        packaged = packaged_with(store.fingerprint)
        system = system or packaged
        summary, damaged, kept = store.summary(), store.damaged(), store.sizes()
        costs = () if system is None else _costs(system, store)
        strange = () if system is None or not costs else unfamiliar_recordings(system, store)
    counts = summary["sessions"], summary["recordings"]
    each = [bytes_ // max(count, 1) for bytes_, count in zip(kept, counts, strict=True)]
    document = {
        **summary,
        "packaged": None if packaged is None else packaged.frontend.sample_rate,
        **dict(zip(("bytes_per_session", "bytes_per_recording"), each, strict=True)),
        "errors_by_speech": [asdict(c) for c in costs] if system else None,
        "unfamiliar": [{"file": u.name, **asdict(u.why)} for u in strange] if system else None,
    }
    told = _cost_table(costs) if system else ["", NO_MODEL]
    told += ["", *map(str, strange)] if strange else []
    emit(as_json, document, facts({"type": "store of speakers"} | _store_facts(document)), *told, damaged=damaged)


def _costs(system: Any, store: "SpeakerStore | None" = None) -> "tuple[Cost, ...]":
    """Return what rates cost; nothing where nothing is known, or nobody is enrolled whose sessions are whole."""
    from speechgmm.speakers import errors_by_speech

    try:
        return errors_by_speech(system, store)
    except InvalidInput:
        return ()


def _cost_table(costs: "Sequence[Cost]") -> list[Listing | str]:
    """Return misses by rate and seconds of speech, a row for each rate and number of speakers; nothing of nothing."""
    rows: dict[tuple[int, float], list[Cost]] = {}
    for c in costs:
        rows.setdefault((c.speakers, c.far), []).append(c)
    if not rows:
        return []
    first = next(iter(rows.values()))
    enrolled = f" ({first[0].enroll_seconds:.0f} s enrolled of each)" if math.isfinite(first[0].enroll_seconds) else ""
    cells = ((n, f"{100 * far:g} %", *(f"{100 * c.missed:.0f} %" for c in row)) for (n, far), row in rows.items())
    columns = (">enrolled", ">strangers accepted", *(f">{c.test_seconds:g} s" for c in first))
    told = f"of enrolled speakers' tests are missed, at least, by how much speech they hold{enrolled}:"
    return ["", told, table(*columns, rows=cells, spare=())]


def emit_training(as_json: bool, training: Any, made: "System | AudioClassifier", output: str) -> None:
    """Print what a training has made and written, what to beware of, and what was left out."""
    summary, warnings = made.summary(), list(training.warnings)
    document, shown = {"model": output, **summary, "warnings": warnings}, {"model": output} | _facts_of(summary)
    emit(as_json, document, facts(shown), warnings=warnings, skipped=training.skipped)


def emit_model(as_json: bool, made: "System", output: str) -> None:
    """Print what a model is that was written."""
    summary = made.summary()
    emit(as_json, {"model": output, **summary}, facts({"model": output} | _facts_of(summary)))


def _is_store(location: str) -> bool:
    """Return whether this is a database; anything else may be a model."""
    if "://" in location:
        return True
    if not os.path.isfile(location):
        refuse("a model or store", "be a file or a database URL", f"{location}, which is not", "Check the path.")
    with open(location, "rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def _export_info(location: str, as_json: bool) -> None:
    """Show how much of whom an export holds."""
    from speechgmm.speakers import load_export, packaged_with

    summary = load_export(location).summary()
    packaged = packaged_with(summary["fingerprint"])
    rate = None if packaged is None else packaged.frontend.sample_rate
    shown = {
        "type": "export of speakers",
        "model": summary["fingerprint"] + ("" if rate is None else f", the packaged one for {rate} Hz"),
        "speakers": enumerated(summary["speakers"]) if summary["speakers"] else "none",
        "sessions": summary["sessions"],
        "recordings": f"{summary['recordings']}, frames of {summary['samples']} of them",
        "speech": f"{summary['speech_seconds']:.1f} s",
    }
    emit(as_json, {**summary, "packaged": rate}, facts(shown))


def _is_index(location: str) -> bool:
    """Return whether this is an index of speakers."""
    from speechgmm.speakers.index import INDEX

    return INDEX.recognizes(Path(location))


def _index_info(location: str, as_json: bool) -> None:
    """Show of whom an index is."""
    from speechgmm.speakers.index import read_index

    head, size = read_index(location).head, os.path.getsize(location)
    summary = {"type": "SpeakerIndex", "fingerprint": head.fingerprint, "relevance": head.relevance, "bytes": size}
    shown = {
        "type": "index of speakers",
        "model": head.fingerprint,
        "speakers": len(head.names),
        "relevance factor": f"{head.relevance:g}",
        "size": f"{size / 1e6:.1f} MB",
    }
    emit(as_json, {**summary, "speakers": len(head.names)}, facts(shown))


def _type(path: str) -> str:
    """Return the name of the type of the value that a file holds."""
    from speechgmm.storage import read_header

    return str(read_header(path)["$type"])


def _facts_of(summary: Mapping[str, Any]) -> dict[str, object]:
    """Return what people want to know of a model or a classifier."""
    if strange := _strange(summary):
        plain = {**summary, "info": {}, **({"calibration": {}} if summary.get("calibrated") else {})}
        return _facts_of(plain) | {"how it was made": f"not as train tells it ({strange})"}
    return _classifier_facts(summary) if summary["type"] == "AudioClassifier" else _model_facts(summary)


def _strange(summary: Mapping[str, Any]) -> str:
    """Return why what a model says of its making cannot be told: anybody may write there what they like."""
    try:
        if summary["type"] == "AudioClassifier":
            _classifier_facts(summary)
        elif summary["type"] == "System":
            _model_facts(summary)
            _calibration_facts(summary["calibration"])
        if em := summary.get("info", {}).get("em"):
            _trace(em)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _model_facts(summary: Mapping[str, Any]) -> dict[str, object]:
    made = summary["info"]
    rows: dict[str, object] = {name: _lines(text.split(), " ") for name, text in made.get("about", {}).items()}
    rows |= {
        "fingerprint": summary["fingerprint"],
        **_calibration_facts(summary.get("calibration"), adapted="adapted" in made),
        "background": f"{_sizes_of(summary)} components of {summary['dimensions']} features",
        "relevance": f"{summary['relevance']:g} frames",
        **({"candidates": "the best are scored by each of their recordings"} if summary["by_recording"] else {}),
        **_frontend_facts(summary["frontend"]),
    }
    if data := made.get("data"):
        rows["trained on"] = (
            f"{data['recordings']} recordings of {data['speakers']} speakers, {data['speech_seconds']:.1f} s of speech"
            f" ({data['skipped']} left out)"
        )
    for a in made.get("adapted", ()):
        told = (
            f"{a['recordings']} recordings, {a['speech_seconds']:.1f} s of speech ({a['skipped']} left out), from the "
            f"model {a['from']}"
        )
        rows["adapted to"] = _lines(told.split(), " ")
    if em := made.get("em"):
        trace = em["objective"]
        rows["EM"] = f"{len(trace)} iterations, {trace[0]:.3f} to {trace[-1]:.3f} nats per frame"
    if "seed" in made:
        rows["seed"] = made["seed"]
    if versions := made.get("versions"):
        rows["versions"] = _pairs(versions, " ")
    return rows


def _sizes_of(summary: Mapping[str, Any]) -> str:
    """Return how many components each mixture has."""
    return enumerated([str(k) for k in summary.get("mixtures") or [summary["components"]]])


def _calibration_facts(measured: Mapping[str, Any] | None, *, adapted: bool = False) -> dict[str, object]:
    """Return how far to trust decisions."""
    if measured is None:
        return {"calibrated": "no: scores rank, they do not decide before five people are enrolled"}
    if not measured:
        return {"calibrated": f"yes{', before it was adapted: its rates were not measured since' if adapted else ''}"}
    on = (
        f"{measured['speakers']} background speakers in turn, unknown to the model that scored them; "
        f"{measured['tests']} tests of {measured['seconds'][0]:g} to {measured['seconds'][2]:g} s, enrolled and "
        f"tested from different {measured['by']}"
    )
    if spread := measured.get("enroll_seconds"):
        on += "; models of {0:g} to {2:g} s, half of them of {1:g} s or more".format(*spread)
    rows: dict[str, object] = {
        "calibrated": "yes",
        "calibrated on": _lines(on.split(), " "),
        "EER": "{:.1%}, 95 % within {:.1%} and {:.1%}".format(*measured["eer"]),
    }
    for r in measured["per_search"]:
        told = (
            f"{r['measured']:.1%} accepted, 95 % within {r['low']:.1%} and {r['high']:.1%}; {r['missed']:.1%} of the "
            f"{measured['enrolled']} enrolled not found"
        )
        rows[f"{r['asked']:.0%} of strangers"] = _lines(told.split(), " ")
    return rows


def _classifier_facts(summary: Mapping[str, Any]) -> dict[str, object]:
    made = summary["info"]
    rows: dict[str, object] = {
        "fingerprint": summary["fingerprint"],
        "labels": _lines(f"{n} ({made['data']['sounds'][n]})" if made else n for n in summary["labels"]),
        "back end": BACKENDS[summary["backend"]],
        "components": _lines(sorted({str(k) for k in summary["components"]}, key=int)),
        "calibrated": "yes" if summary["calibrated"] else "no: posteriors are not known",
        "rejects": "yes, with --far" if summary["rejects"] else "no: too few classes or sounds",
        **_frontend_facts(summary["frontend"]),
    }
    if made:
        rows["trained on"] = f"{made['data']['seconds']:.1f} s ({made['data']['skipped']} recordings left out)"
        rows["versions"] = _pairs(made["versions"], " ")
    return rows


def _frontend_facts(settings: Mapping[str, object]) -> dict[str, object]:
    """Return what a model takes, and how that becomes features."""
    takes = "features (.npy files, Kaldi archives), no sound" if settings.get("kind") == "features" else "sound"
    given = {name: value for name, value in settings.items() if value is not None}
    shown = {name: "learned" if isinstance(value, Mapping) else value for name, value in given.items()}
    return {"takes": takes, "front end": _pairs(shown, "=")}


def _store_facts(summary: Mapping[str, Any]) -> dict[str, object]:
    packaged = "" if (rate := summary["packaged"]) is None else f", which comes with the package, for {rate} Hz"
    return {
        "of the model": f"{summary['fingerprint']}{packaged}",
        "speakers": summary["speakers"],
        "sessions": summary["sessions"],
        "recordings": summary["recordings"],
        "speech": f"{summary['speech_seconds']:.1f} s",
        "encrypted": "yes" if summary["encrypted"] else "no",
        "kept": _lines(KEPT.format(*(summary[f"bytes_per_{n}"] / 1000 for n in ("session", "recording"))).split(), " "),
    }


def _lines(words: Iterable[str], between: str = ", ") -> str:
    """Return words on lines that fit beside the names of `facts` in 80 columns."""
    return textwrap.fill(between.join(words), 64, break_long_words=False, break_on_hyphens=False)


def _pairs(values: Mapping[str, object], between: str) -> str:
    return _lines(f"{name}{between}{value}" for name, value in values.items())


def _trace(em: Mapping[str, Any]) -> Listing:
    """Return a table of the objective at each iteration, and what else its step did."""
    gains = [""] + [f"{b - a:+.4f}" for a, b in zip(em["objective"], em["objective"][1:], strict=False)]
    notes = [", ".join(f"{count} {what}" for what, count in n.items()) for n in em["notes"]]
    rows = zip(range(1, len(gains) + 1), (f"{o:.4f}" for o in em["objective"]), gains, notes, strict=True)
    return table(">iteration", ">nats per frame", ">gain", "notes", rows=rows, spare=())
