"""Sections of the page: error rates, pictures, attacks, searches, amounts of speech, NIST's costs, what is left out."""

from collections.abc import Iterator

import numpy as np

from speechgmm import plot
from speechgmm.evaluation import NIST, Application, ConfusionMatrix, Evaluation, Scores
from speechgmm.evaluation.trials import columns
from speechgmm.looks import text
from speechgmm.report.html import LARGE, SIZE, SMALL, beside, ends, figure, percent, plain, span, table

_LABELS = 60
"""With more speakers than these a picture of the confusion matrix shows nothing."""
_MISTAKES = 20
_BESIDE = 15
"""With more speakers than these the picture takes the whole width, so that their names can be read."""


def rates_section(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield who and what was tested, and the main rates."""
    tested = "<h2>Who and what was tested</h2>" + table("Counts", ("what", ">number"), _tested(scores, e))
    application = f"prior {e.prior:g}, costs {e.cost_miss:g} and {e.cost_fa:g}"
    measured = [
        ("Equal error rate", percent(e.eer), span(e, "eer", percent)),
        (f"Minimum detection cost ({application})", plain(e.min_dcf), span(e, "min_dcf")),
        (f"Actual detection cost ({application})", plain(e.actual_dcf), span(e, "actual_dcf")),
        ("Minimum Cllr, bits", plain(e.min_cllr), span(e, "min_cllr")),
        ("Cllr, bits", plain(e.cllr), span(e, "cllr")),
    ]
    if (rate := e.identification_rate) is not None:
        found = percent(rate), span(e, "identification_rate", percent)
        measured.append(("Tests whose own speaker scores highest", *found))
    level = next((f"{100 * i.level:g} % " for i in e.intervals.values()), "")
    right = "<h2>How often the scores are right</h2>"
    right += table("Error rates and costs", ("measure", ">value", f">{level}interval"), measured)
    note = (
        "Actual cost and Cllr take the scores for calibrated log-likelihood ratios; the others know their order only."
    )
    if level:
        note += " Intervals come from leaving out one speaker after the other: what others of the kind would change."
    yield beside(tested, f'{right}<p class="faint">{note}</p>', kind="even")


def _tested(scores: Scores, e: Evaluation) -> Iterator[tuple[str, str]]:
    """Yield the counts, and the amounts of speech where these are known."""
    held = columns(scores)
    counts = {"enrolled speakers": e.speakers, "tests": e.tests}
    for what, name in (("people who speak in the tests", "test_speaker"), ("sessions of the tests", "session")):
        if name in held:
            counts[what] = int((held[name].names != "").sum())
    counts["trials"] = e.trials
    counts["target trials: the test is spoken by the enrolled speaker"] = e.targets
    counts["impostor trials: it is not"] = e.nontargets
    yield from ((what, f"{n:,}".replace(",", "\u202f")) for what, n in counts.items())
    amounts = ("of an enrolled speaker", "enroll_seconds", scores.speakers), ("in a test", "test_seconds", scores.tests)
    for what, name, index in amounts:
        if name in held and not np.isnan(held[name]).all():
            seconds = held[name][np.unique(index.codes, return_index=True)[1]]
            low, middle, high = np.nanquantile(seconds, (0, 0.5, 1))
            yield f"speech {what}, s: median, and least to most", f"{middle:.1f}; {low:.1f} to {high:.1f}"


def pictures_section(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield the curve of errors and the histograms."""
    cost, rate = Application(e.prior, e.cost_miss, e.cost_fa), percent(e.eer)
    det = figure(
        "det",
        lambda ax: plot.plot_det(scores, application=cost, ax=ax),
        f"DET curve: misses against false alarms on normal-deviate axes, with an equal error rate of {rate}.",
        "Misses against false alarms, as the threshold moves; lower left is better.",
    )
    histograms = figure(
        "histograms",
        lambda ax: plot.plot_histograms(scores, threshold=e.eer_threshold, ax=ax),
        f"Histograms of the scores of targets and impostors, with a line at the threshold {e.eer_threshold:.3g}.",
        "Scores of targets and impostors; the line is where both errors are about equally frequent.",
    )
    yield "<h2>Pictures</h2>"
    yield beside(det, histograms)


def attacks_section(e: Evaluation) -> Iterator[str]:
    """Yield how many attacks of each species are accepted, and what it costs to accept few."""
    if not (a := e.attacks):
        return
    yield "<h2>Attacks</h2>"
    yield (
        f"<p>At the threshold above, a log-likelihood ratio of {a.threshold:.4g} nats, {percent(a.apcer)} of the "
        f"attacks of the species “{text(a.worst)}” are accepted, the highest share (APCER), and {percent(a.bpcer)} "
        f"of {a.bona_fide} target trials are rejected (BPCER). The recognizer alone decides: nothing else detects "
        "attacks. APCER is therefore the impostor attack presentation accept rate (IAPAR) of the whole system, and "
        "BPCER its false non-match rate. Trials of attacks are in no other figure of this page.</p>"
    )
    header = ("species", ">presentations", ">people attacked", ">without a score", ">APCER", ">interval", ">3 / n")
    rows = []
    for s in a.species:
        counts = map(str, (s.presentations, s.speakers, s.failed))
        rows.append((s.species, *counts, percent(s.apcer), ends(s.interval, percent), percent(s.rule_of_three)))
    told = table("Attacks accepted at the threshold, in the words of ISO/IEC 30107-3", header, rows)
    yield f'<div class="names">{told}</div>'
    costs = ((t.name, percent(t.apcer), f"{t.threshold:.4g}", percent(t.bpcer), t.doubt) for t in a.trade_offs)
    names = ("point", ">attacks accepted, at most", ">threshold, nats", ">BPCER", "doubt")
    yield table("What it costs to accept few attacks of any species", names, costs)
    if a.conditions:
        of = ((f"{c.column} {c.value}", c.species, str(c.presentations), percent(c.apcer)) for c in a.conditions)
        apart = table("The worst species of each condition", ("condition", "species", ">presentations", ">APCER"), of)
        yield f'<div class="names">{apart}</div>'
    yield (
        '<p class="faint">3 / n: where none of n independent attacks is accepted, the rate may still be as high (rule '
        "of three). Attacks of other species, or made better, may be accepted more often.</p>"
    )


def searches_section(e: Evaluation) -> Iterator[str]:
    """Yield how often the right speaker is found, and who is taken for whom."""
    if not e.cmc:
        return
    yield "<h2>Who is it? Searches among all enrolled speakers</h2>"
    rates = ((str(i), percent(rate)) for i, rate in enumerate(e.cmc, 1))
    ranks = table("Own speaker among so many highest scores", ("highest scores", ">share of the tests"), rates)
    if o := e.open_set:
        between = span(e, "open_set_rate", percent)
        interval = f" ({between})" if between else ""
        ranks += (
            f"<p>With strangers: at the threshold {o.threshold:.4g}, at which {percent(o.measured)} of {o.strangers} "
            f"searches for a stranger accept anybody (allowed: {percent(o.far)}), {percent(o.rate)} of "
            f"{o.known} tests of enrolled speakers find and accept their own speaker{interval}.</p>"
        )
    if not (confusion := e.confusion):
        yield ranks
        return
    ranks += _mistakes(confusion)
    if (n := len(confusion.labels)) > _LABELS:
        yield ranks
        return
    picture = figure(
        "confusion",
        lambda ax: plot.plot_confusion(confusion, ax=ax),
        f"Confusion matrix of {n} speakers; the mistakes are in the table.",
        "Each row is a speaker, shaded by whom the tests were taken for.",
        size=LARGE if n > _BESIDE else SIZE,
    )
    yield f'{ranks}<div class="wide large">{picture}</div>' if n > _BESIDE else beside(ranks, picture)


def _mistakes(confusion: ConfusionMatrix) -> str:
    """Return who is taken for whom most often."""
    if not (rows := [(a, b, str(tests)) for a, b, tests in confusion.confusions(_MISTAKES)]):
        return "<p>No test was taken for somebody else.</p>"
    told = table("The most frequent mistakes", ("speaker", "taken for", ">tests"), rows)
    return f'<div class="names">{told}</div>'


def durations_section(e: Evaluation) -> Iterator[str]:
    """Yield the error rates by the amount of speech."""
    if not e.durations:
        return
    yield "<h2>How much speech is enough?</h2>"
    picture = figure(
        "durations",
        lambda ax: plot.plot_durations(e.durations, ax=ax),
        "Error rates against the seconds of speech in the test; the numbers are in the table.",
        "Error against the speech in the test.",
        size=SMALL,
    )
    header = ("speech, s", ">tests", ">equal error rate", ">misses", ">false alarms", ">interval of the EER")
    rows = []
    for d in e.durations:
        rates = map(percent, (d.eer, d.p_miss, d.p_fa))
        rows.append((f"{d.low:.1f} to {d.high:.1f}", str(d.tests), *rates, ends(d.interval, percent)))
    yield beside(picture, table("Misses and false alarms are those at one threshold for all tests", header, rows))


def nist_section(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield the costs at NIST's operating points, and the calibration, which actual costs depend on."""
    rows = []
    for cost in e.nist:
        points = NIST[cost.name]
        priors, costs = " and ".join(f"{p.prior:g}" for p in points), f"{points[0].cost_miss:g}, {points[0].cost_fa:g}"
        least = plain(cost.min_dcf), span(e, f"min_dcf {cost.name}")
        rows.append((cost.name, priors, costs, *least, plain(cost.actual_dcf)))
    header = ("evaluation", "prior", "costs", ">minimum cost", ">interval", ">actual cost")
    yield "<h2>Costs at the operating points of NIST</h2>"
    calibration = figure(
        "calibration",
        lambda ax: plot.plot_calibration(scores, ax=ax),
        f"Observed log-likelihood ratio against the score: Cllr {e.cllr:.3g} bits, at best {e.min_cllr:.3g}.",
        "What scores say against what is observed: on the dashed line a score is the log-likelihood ratio it claims.",
        size=SMALL,
    )
    yield beside(table("Normalized detection costs", header, rows), calibration)


def left_out_section(e: Evaluation) -> Iterator[str]:
    """Yield what is not there, and why."""
    if e.left_out:
        yield "<h2>What was left out</h2>"
        yield "<ul>{}</ul>".format("".join(f"<li>{text(reason)}</li>" for reason in e.left_out))
