"""The command info: what a model, a classifier or a store is, and how it was made."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from speechgmm.checks import refuse
from speechgmm.cli import options
from speechgmm.cli.output import Listing, emit, facts, table

if TYPE_CHECKING:
    from speechgmm.classification import AudioClassifier
    from speechgmm.speakers import DamagedSession, System

Location = Annotated[str, options.argument("MODEL|STORE", "File or database URL.")]


def info(location: Location, as_json: options.Json = False) -> None:
    """Show what a model or a store of speakers is, and how it was made."""
    damaged: Sequence[DamagedSession] | None = None
    if _is_store(location):
        with options.open_store(location) as store:
            summary, damaged = store.summary() | {"packaged": _packaged(store.fingerprint)}, store.damaged()
        shown = {"type": "store of speakers"} | _store_facts(summary)
    else:
        summary = options.load_model_or_classifier(location).summary()
        kind = "classifier" if summary["type"] == "AudioClassifier" else "model"
        shown = {"type": kind} | _facts_of(summary)
    em = None if _strange(summary) else summary.get("info", {}).get("em")
    trace: list[Listing | str] = ["", _trace(em)] if em else []
    emit(as_json, summary, facts(shown), *trace, damaged=damaged)


def emit_training(as_json: bool, training: Any, made: "System | AudioClassifier", output: str) -> None:
    """Save what a training has made, and print what it is, what to beware of, and what was left out."""
    made.save(output)
    summary, warnings = made.summary(), list(training.warnings)
    document, shown = {"model": output, **summary, "warnings": warnings}, {"model": output} | _facts_of(summary)
    emit(as_json, document, facts(shown), warnings=warnings, skipped=training.skipped)


def _packaged(fingerprint: str) -> int | None:
    """Return the rate of the packaged model of this fingerprint, None where there is none."""
    from speechgmm.speakers import packaged_with

    system = packaged_with(fingerprint)
    return None if system is None else system.frontend.sample_rate


def _is_store(location: str) -> bool:
    """Return whether this is a database; anything else may be a model."""
    if "://" in location:
        return True
    if not Path(location).is_file():
        refuse("a model or store", "be a file or a database URL", f"{location}, which is not", "Check the path.")
    with open(location, "rb") as file:
        return file.read(16) == b"SQLite format 3\0"


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
        "background": f"{summary['components']} components of {summary['dimensions']} features",
        "relevance": f"{summary['relevance']:g} frames",
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


def _calibration_facts(measured: Mapping[str, Any] | None, *, adapted: bool = False) -> dict[str, object]:
    """Return how far to trust decisions."""
    if measured is None:
        return {"calibrated": "no: scores rank, they do not decide"}
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
    takes = "features in .npy files, no sound" if settings.get("kind") == "features" else "sound"
    return {"takes": takes, "front end": _pairs(settings, "=")}


def _store_facts(summary: Mapping[str, Any]) -> dict[str, object]:
    packaged = "" if (rate := summary["packaged"]) is None else f", which comes with the package, for {rate} Hz"
    return {
        "of the model": f"{summary['fingerprint']}{packaged}",
        "speakers": summary["speakers"],
        "sessions": summary["sessions"],
        "recordings": summary["recordings"],
        "speech": f"{summary['speech_seconds']:.1f} s",
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
    return table(">iteration", ">nats per frame", ">gain", "notes", rows=rows, spare=False)
