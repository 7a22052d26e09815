"""Sections for those who must defend a decision: errors at a threshold, the worth of LLRs, conditions, limits.

They hold what a consensus on the validation of forensic voice comparison [1]_ and a standard of biometric testing [2]_
ask for.

References
----------
.. [1] G. S. Morrison et al., "Consensus on validation of forensic voice comparison", Science & Justice 61 (2021).
.. [2] ISO/IEC 19795-1:2021, Biometric performance testing and reporting, part 1: principles and framework.
"""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from speechgmm import plot
from speechgmm.checks import number_of
from speechgmm.evaluation import Condition, Evaluation, FailureCounts, FalseAccepts, Scores
from speechgmm.looks import text
from speechgmm.report.html import SMALL, beside, ends, figure, percent, plain, span, table

_SURE = 30
"""So many independent errors place a rate within 30 % of itself, nine times in ten."""
_NONE = 3
"""Where none of n independent trials goes wrong, the rate is below this share of n, 19 times in 20."""

SOURCES = (
    "G. S. Morrison et al., “Consensus on validation of forensic voice comparison”, Science & Justice 61 (2021)",
    "ISO/IEC 19795-1:2021, Biometric performance testing and reporting, part 1: principles and framework",
    "P. Vergeer et al., “Numerical likelihood ratios outputted by LR systems are often based on extrapolation: when to "
    "stop extrapolating?”, Science & Justice 56 (2016)",
)


def errors_section(e: Evaluation, accepted: Sequence[FalseAccepts]) -> Iterator[str]:
    """Yield the error rates at the threshold of the application, and what failed."""
    at = e.errors
    rows = [
        ("False non-match rate: target trials below the threshold", at.p_miss, "p_miss"),
        ("False match rate: impostor trials at or above it", at.p_fa, "p_fa"),
    ]
    if at.strangers_accepted is not None:
        searched = (
            f"False-positive identification rate: searches among {at.models} models of others that accept anybody"
        )
        rows.append((searched, at.strangers_accepted, "strangers_accepted"))
    if at.owners_missed is not None and at.owners_mistaken is not None:
        lost = "False-negative identification rate: searches for an enrolled speaker, who is not found"
        rows.append((lost, at.owners_missed, "owners_missed"))
        rows.append(("part of that: somebody else is accepted", at.owners_mistaken, "owners_mistaken"))
    told = [(name, percent(rate), span(e, key, percent)) for name, rate, key in rows]
    if at.p_reject is not None and at.p_accept is not None:
        told.append(("False reject rate: the first, trials that failed included as rejected", percent(at.p_reject), ""))
        told.append(("False accept rate: the second, the same", percent(at.p_accept), ""))
    header = ("rate", ">value", ">interval")
    yield "<h2>Errors at the threshold</h2>"
    yield (
        f"<p>Accepted is what reaches a log-likelihood ratio of {at.threshold:.4g} nats. That follows from the prior "
        f"of a target ({e.prior:g}) and the costs ({e.cost_miss:g} of a miss, {e.cost_fa:g} of a false accept) alone, "
        "for scores that are log-likelihood ratios.</p>"
    )
    yield table("Per trial and per search, in the words of ISO/IEC 19795-1", header, told)
    if accepted:
        yield table(
            "At thresholds of the calibration", ("strangers", ">asked", ">accepted", ">interval"), _asked(accepted)
        )
    yield _failed(e.failures)


def _asked(accepted: Sequence[FalseAccepts]) -> Iterator[tuple[str, ...]]:
    """Yield how many strangers were accepted where rates were asked for."""
    for f in accepted:
        tried = "single trials" if f.speakers == 1 else f"searches among {f.speakers} models"
        yield tried, f"{100 * f.far:g} %", percent(f.accepted.estimate), ends(f.accepted, percent)


def _failed(failures: FailureCounts | None) -> str:
    """Return what failed before there was a score."""
    if failures is None:
        return (
            "<p>Failures to acquire and to enroll are not known: the table of scores has no column “failed”. Tests and "
            "speakers that failed are in none of these rates.</p>"
        )
    rows = (
        ("Failure to acquire: tests that gave no score", failures.tests, failures.tests_tried),
        ("Failure to enroll: speakers in the table without a model", failures.speakers, failures.speakers_tried),
    )
    told = ((name, f"{n} of {tried}", percent(n / tried)) for name, n, tried in rows)
    counts = table("What failed", ("failure", ">number", ">share"), told)
    lost = f"{number_of(failures.targets, 'target trial')} and {number_of(failures.nontargets, 'impostor trial')}"
    return (
        f"{counts}<p>{lost} have no score because of this. Who was refused at enrollment, and so never came into the "
        "table, is not known here.</p>"
    )


def llrs_section(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield what the log-likelihood ratios are worth: the Tippett plot, the parts of Cllr, and their range."""
    bounds = e.llr_bounds
    tippett = figure(
        "tippett",
        lambda ax: plot.plot_tippett(scores, bounds=bounds, ax=ax),
        "Tippett plot: shares of targets below, and of impostors at or above each log-likelihood ratio; "
        f"{bounds.low:.3g} to {bounds.high:.3g} nats are supported.",
        "Tippett plot: what is seen of targets left of 0, and of impostors right of it, misleads.",
        size=SMALL,
    )
    rows = [
        ("Cllr, bits", plain(e.cllr), span(e, "cllr")),
        ("of it discrimination: minimum Cllr", plain(e.min_cllr), span(e, "min_cllr")),
        ("of it calibration: the rest", plain(e.cllr - e.min_cllr), ""),
    ]
    parts = table("What log-likelihood ratios cost", ("measure", ">value", ">interval"), rows)
    limits = [
        ("least", f"{bounds.low:.2f}", f"1 / {_ratio(-bounds.low)}", str(bounds.below)),
        ("greatest", f"{bounds.high:.2f}", _ratio(bounds.high), str(bounds.above)),
    ]
    header = ("bound", ">nats", ">as a ratio", ">scores beyond")
    supported = table("Log-likelihood ratios that the data support", header, limits)
    note = (
        "Beyond these empirical bounds (ELUB), deciding by the ratios would do more harm than taking all for 1, if one "
        "misleading trial of each kind is imagined beside those seen. A ratio beyond a bound is best reported as the "
        "bound. Cllr, curves and bounds take the scores for log-likelihood ratios."
    )
    yield "<h2>What the log-likelihood ratios are worth</h2>"
    yield beside(tippett, f'{parts}{supported}<p class="faint">{note}</p>')


def _ratio(llr: float) -> str:
    """Return a likelihood ratio of 1 or more."""
    return f"{np.exp(llr):.3g}" if llr < np.log(1e5) else f"{np.exp(llr):.1e}"


def conditions_section(e: Evaluation) -> Iterator[str]:
    """Yield a table for each column whose conditions were taken apart."""
    if not e.conditions:
        return
    yield "<h2>Conditions apart</h2>"
    header = (">speakers", ">targets", ">impostors", ">equal error rate", ">Cllr", ">misses", ">false accepts")
    for column, some in itertools.groupby(e.conditions, lambda c: c.column):
        found = list(some)
        doubt = ["doubt"] if any(c.doubt for c in found) else []
        rows = (_condition(c) + ((c.doubt,) if doubt else ()) for c in found)
        yield f'<div class="names">{table(f"By {column}", (column, *header, *doubt), rows)}</div>'
    note = "Speakers are those with target trials. Misses and false accepts are those at the threshold above."
    yield f'<p class="faint">{note} Intervals stand below the rates.</p>'


def _condition(c: Condition) -> tuple[str, ...]:
    """Return the row of a condition."""

    def told(name: str, rate: float | None) -> str:
        if rate is None:
            return "–"
        form = plain if name == "cllr" else percent
        between = ends(c.intervals.get(name), form)
        return form(rate) + (f"\n{between}" if between else "")

    rates = (told(name, getattr(c, name)) for name in ("eer", "cllr", "p_miss", "p_fa"))
    return c.value, str(c.speakers), str(c.targets), str(c.nontargets), *rates


def not_shown_section(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield what these figures do not say, and the sources of this report."""
    yield "<h2>What this page does not show</h2>"
    yield "<ul>{}</ul>".format("".join(f"<li>{text(line)}</li>" for line in _limits(scores, e)))
    yield f'<p class="faint">What is asked for, and the bounds: {text("; ".join(SOURCES))}.</p>'


def _limits(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield a sentence or two for each limit."""
    people = len(np.unique(scores.speakers.codes[scores.target == 1]))
    yield (
        "Other people, places and times. Intervals say how much the rates would differ for other people of the same "
        f"kind ({people} speakers have target trials here), recorded in the same way. They say nothing of other "
        "languages, ages, microphones, telephones, rooms, noise or states of health, nor of voices grown older."
    )
    yield _attacks(e)
    if (models := e.errors.models) is not None:
        yield (
            f"Larger searches. Tests were searched among about {models} models; among more, strangers are accepted and "
            "owners mistaken more often."
        )
    yield _rare(e, people)
    yield (
        "What the system has seen. Rates flatter where people or recordings of this table were used to train it, to "
        "calibrate it or to choose its settings. Minimum costs and the equal error rate flatter in any case: their "
        "thresholds are the best ones for this very table."
    )
    if scores.session is None:
        yield "Days. The table does not name sessions, so that nobody sees whether speakers were tested on other days."
    yield "Wrong labels. A recording that is filed under somebody else's name counts as an error of the system."


def _attacks(e: Evaluation) -> str:
    """Return what is not said of attacks."""
    if not e.attacks:
        return (
            "Attacks. Impostor trials are other people's recordings. Imitated, replayed, converted or synthetic voices "
            "are tested only if the table names them in the column “attack”."
        )
    tested = ", ".join(s.species for s in e.attacks.species)
    return f"Other attacks. Those of the table ({tested}) say nothing of voices that are imitated in other ways."


def _rare(e: Evaluation, people: int) -> str:
    """Return which rates are too rare to be told, and how many errors were seen."""
    missed, accepted = round(e.errors.p_miss * e.targets), round(e.errors.p_fa * e.nontargets)
    few = [f"{what}: {n}" for what, n in (("misses", missed), ("false accepts", accepted)) if n < _SURE]
    seen = f"; at the threshold there are fewer ({', '.join(few)})" if few else ""
    return (
        f"Rare errors. Where none of n independent trials goes wrong, the rate may still be {_NONE} / n (rule of "
        f"three): {percent(min(1.0, _NONE / e.targets))} of misses and {percent(min(1.0, _NONE / e.nontargets))} of "
        "false accepts, if all trials were independent. Those of one person are not, so that it is more, up to "
        f"{percent(min(1.0, _NONE / people))}. To within 30 % a rate is known from {_SURE} independent errors on (rule "
        f"of 30){seen}."
    )
