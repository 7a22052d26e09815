"""The command identify: who speaks in each recording."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from speechgmm.cli import options
from speechgmm.cli.output import emit, progress, table

if TYPE_CHECKING:
    from speechgmm.evaluation import Answer, Rule
    from speechgmm.speakers.calibration import StoreNorm

IndexFile = Annotated[
    str | None, options.option("--index", "INDEX", "What `speakers index` has written of the store, to search by it.")
]


def identify(
    files: options.Files,
    store: options.Store,
    key_file: options.KeyFile = None,
    model: options.Model = None,
    features: options.Features = None,
    index: IndexFile = None,
    top: options.Top = 5,
    far: options.Far = None,
    prior: options.Prior = None,
    cost_miss: options.CostMiss = None,
    cost_fa: options.CostFa = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Say who speaks in each recording, or that nobody enrolled does."""
    from speechgmm import speakers
    from speechgmm.speakers.indexed import enrolled_by_index

    rule = options.rule_of(far, prior, cost_miss, cost_fa)
    sounds = options.named(files, features)
    system = options.model_for(model, store, key_file=key_file)
    with options.open_store(store, key_file, system) as opened, progress() as report:
        by = None if index is None else speakers.SpeakerIndex.open(index, system, opened)
        answers = speakers.identify(
            system, opened, sounds, rule=rule, top=top, index=by, n_threads=threads, on_progress=report
        )
        known = speakers.enrolled(system, opened) if by is None else enrolled_by_index(system, opened, by)
    damaged, norm = known.models.damaged, known.domain.norm
    extrapolated = any(a.extrapolated for a in answers)
    stated = asdict(rule) | {"far": rule.asked_far, "prior": rule.stated_prior}
    stated |= {"threshold": _threshold(answers), "extrapolated": extrapolated}
    files_told = [_document(a) for a in answers]
    document = {"calibrated": norm is not None, "rule": stated if norm else None, "files": files_told}
    columns = ("file", ">speech, s", "answer", ">rank", "speaker", ">LLR", ">missed", ">posterior")
    spare = ("rank", "speech, s", "posterior", "missed", "LLR")
    shown = table(*columns, rows=_rows(answers), spare=spare), rule_note(norm, rule, answers)
    emit(as_json, document, *shown, damaged=damaged, errors=((a.name, a.error) for a in answers))


MANY = 0.1
"""More misses than that are worth a word on what would help."""
NOT_ASSURED = (
    "not assured: with fewer than five people enrolled it cannot be told how strangers sound on such recordings; "
    "enroll more people, or adapt the model to your microphones (speechgmm adapt)"
)
TOO_SHORT = (
    "not assured: the model was trained on fewer than 20 speakers, and does not know what strangers score in tests of "
    "less than {:.1f} s of speech; take longer ones, or the model that comes with speechgmm"
)
RANKED = "uncalibrated: the LLR (nats per frame) ranks speakers; it decides nothing before five people are enrolled"
EXTRAPOLATED = "extrapolated: the model was calibrated on too few speakers to be sure of this rate"


def rule_note(norm: "StoreNorm | None", rule: "Rule", answers: "Sequence[Answer]") -> str:
    """Return in words by which rule was decided, from which score on, and what that costs."""
    if norm is None:
        return f"\n{RANKED}"
    limit = _threshold(answers)
    if rule.asked_far is None:
        from_on = "" if limit is None else f", from an LLR of {limit:+.2f} nats on"
        return f"\naccepted at least expected cost, with a prior of {rule.prior:g}{from_on}"
    if limit is None:
        return f"\naccepted so that {100 * rule.asked_far:g} % of strangers would be"
    first = f"\nthreshold: an LLR of {limit:+.2f} nats; {reached(rule.asked_far)}"
    return "\n".join([first, *cautions(norm, answers)])


def _threshold(answers: "Sequence[Answer]") -> float | None:
    """Return the LLR from which on was accepted, one for all answers of a search; None if none was decided on."""
    return next((a.threshold for a in answers if a.threshold is not None), None)


def reached(far: float) -> str:
    """Return in words what a threshold for a rate is."""
    return f"{100 * far:g} % of strangers reach it"


def cautions(norm: "StoreNorm", answers: "Sequence[Answer]") -> list[str]:
    """Return in words, a line each, how far to trust decisions by a rate, and what they cost."""
    from speechgmm.speakers import ASSURED

    doubtful = any(a.assured is False and a.unfamiliar is None for a in answers)
    why = NOT_ASSURED if norm.size < ASSURED else TOO_SHORT.format(norm.shortest)
    doubts = {EXTRAPOLATED: any(a.extrapolated for a in answers), why: doubtful}
    strange = [
        f"{a.name} is unfamiliar, so that no rate is assured: {a.unfamiliar.reason}" for a in answers if a.unfamiliar
    ]
    return [*(doubt for doubt, holds in doubts.items() if holds), *strange, *_missed(answers)]


def _missed(answers: "Iterable[Answer]") -> list[str]:
    """Return in words how many tests of enrolled speakers such decisions miss, and how much speech would help.

    Both are those of background speakers, who may have been tested on one day by one microphone: lower bounds.
    """
    known = [(a, a.missed) for a in answers if a.missed is not None and math.isfinite(a.missed)]
    if not known:
        return []
    shares = sorted(missed for _, missed in known)
    low, high = (f"{100 * share:.0f}" for share in (shares[0], shares[-1]))
    share = f"{low if low == high else f'{low} to {high}'} %"
    told = f"missed: {share} of enrolled speakers' tests with so much speech, or more"
    wanted = [a.wanted_seconds for a, missed in known if missed > MANY]
    if None in wanted:
        return [f"{told}; longer tests do not bring that to 10 %: enroll more of each, or allow a higher --far"]
    longest = max((w for w in wanted if w is not None), default=None)
    return [told if longest is None else f"{told}; to bring that to 10 % takes {longest:g} s or more"]


def _document(answer: "Answer") -> dict[str, object]:
    """Return what JSON says of one file."""
    return {
        "file": answer.name,
        "status": answer.status,
        "error": answer.error,
        "speech_seconds": answer.speech_seconds,
        "threshold": answer.threshold,
        **costs(answer),
        "decision": answer.decision,
        "candidates": [{"speaker": c.name, "llr": c.score, "posterior": c.posterior} for c in answer.candidates],
    }


def costs(answer: "Answer") -> dict[str, object]:
    """Return what JSON says of the costs of a decision."""
    missed = None if answer.missed is None or math.isnan(answer.missed) else answer.missed
    told = {"missed": missed, "wanted_seconds": answer.wanted_seconds, "assured": answer.assured}
    return {**told, "unfamiliar": answer.unfamiliar and asdict(answer.unfamiliar)}


def _rows(answers: "Iterable[Answer]") -> Iterable[tuple[object, ...]]:
    """Yield a row for each candidate of each file; the file is named once."""
    for answer in answers:
        first = (answer.name, answer.speech_seconds, answer.status.replace("_", " "))
        if not answer.candidates:
            yield (*first, *[""] * 5)
        for rank, c in enumerate(answer.candidates, 1):
            posterior = "" if c.posterior is None else f"{c.posterior:.3f}"
            missed = "" if answer.missed is None or math.isnan(answer.missed) else f"{100 * answer.missed:.0f} %"
            of_test, cost = (first, missed) if rank == 1 else (("", "", ""), "")
            yield (*of_test, rank, c.name, f"{c.score:+.3f}", cost, posterior)
