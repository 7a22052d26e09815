"""One self-contained web page about a table of scores: numbers in tables, pictures, and what was left out.

The page needs no network and no script. It fits a phone, follows the reader's choice of light or dark, and can be read
aloud. Whatever comes from files is escaped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

from speechgmm import __version__, plot
from speechgmm.evaluation import NIST, Application, Evaluation, Interval, Scores
from speechgmm.plot.svg import svg
from speechgmm.storage import replacing

__all__ = ["render_report", "write_report"]

_LABELS = 60
"""With more speakers than these a picture of the confusion matrix shows nothing."""
_MISTAKES = 20

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1a1b1c; --faint: #5c6166; --rule: #d5d8da;
  --target: #0b6e99; --impostor: #b8472f; --grid: #777c80; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181a; --ink: #e9eaea; --faint: #a6abb0; --rule: #3b4044;
  --target: #55b4dd; --impostor: #f08a72; --grid: #959b9f; } svg image { filter: brightness(1.5); } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 66rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 0.5rem; border-top: 1px solid var(--rule); padding-top: 0.8rem; }
p { margin: 0.4rem 0; max-width: 46rem; }
.faint, figcaption, caption { color: var(--faint); font-size: 0.9rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; }
svg { display: block; width: 100%; max-width: 36rem; height: auto; }
svg text { font-family: system-ui, sans-serif !important; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 0.6rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 0.3rem; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.9rem 0.2rem 0; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; } tbody th { font-weight: 400; } .number { text-align: right; white-space: nowrap; }
@media (max-width: 30rem) { table { font-size: 0.85rem; } th, td { padding-right: 0.6rem; } }
"""


def write_report(scores: Scores, evaluation: Evaluation, path: str | os.PathLike[str], *, title: str = "") -> None:
    """Write the page of `render_report`; the file appears whole or not at all.

    Raises
    ------
    InvalidInput
        For a place that cannot be written to.
    MissingExtra
        Without matplotlib.
    """
    page = render_report(scores, evaluation, title=title)
    with replacing(path) as beside:
        beside.write_bytes(page.encode("utf-8", "replace"))


def render_report(scores: Scores, evaluation: Evaluation, *, title: str = "") -> str:
    """Return an HTML page about scores and what `speechgmm.evaluate` found in them.

    Parameters
    ----------
    scores : Scores
        With labels.
    evaluation : Evaluation
        Of these scores.
    title : str
        Such as the name of the file; shown as text, whatever is in it.
    """
    e = evaluation
    heading = "Evaluation" + (f" of {title}" if title else "")
    parts = [
        f"<h1>{escape(heading)}</h1>",
        f'<p class="faint">Made by speechgmm {escape(__version__)}.</p>',
        *_rates(e),
        *_pictures(scores, e),
        *_searches(e),
        *_durations(e),
        *_nist(e),
        *_left_out(e),
    ]
    head = f"<title>{escape(heading)}</title><style>{_STYLE}</style>"
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(parts)
    return f'<!doctype html>\n<html lang="en"><head>{meta}{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def _rates(e: Evaluation) -> list[str]:
    """Return the counts and the main rates."""
    counts = [
        ("enrolled speakers", e.speakers),
        ("tests", e.tests),
        ("trials", e.trials),
        ("target trials: the test is spoken by the enrolled speaker", e.targets),
        ("impostor trials: it is not", e.nontargets),
    ]
    application = f"prior {e.prior:g}, costs {e.cost_miss:g} and {e.cost_fa:g}"
    rows = [
        ("Equal error rate", _percent(e.eer), _span(e, "eer", percent=True)),
        (f"Minimum detection cost ({application})", _plain(e.min_dcf), _span(e, "min_dcf")),
        (f"Actual detection cost ({application})", _plain(e.actual_dcf), _span(e, "actual_dcf")),
        ("Minimum Cllr, bits", _plain(e.min_cllr), _span(e, "min_cllr")),
        ("Cllr, bits", _plain(e.cllr), _span(e, "cllr")),
    ]
    if e.identification_rate is not None:
        identified = (_percent(e.identification_rate), _span(e, "identification_rate", percent=True))
        rows.append(("Tests whose own speaker scores highest", *identified))
    level = next((f"{100 * i.level:g} %" for i in e.intervals.values()), "")
    interval = f"{level} interval" if level else "interval"
    note = (
        "Actual cost and Cllr take the scores for calibrated log-likelihood ratios; the others know their order only."
    )
    if level:
        note += " Intervals come from drawing the speakers anew: they say what other speakers of the kind would change."
    return [
        "<h2>What was tested</h2>",
        _table("Counts", ("what", ">number"), ((name, f"{n:,}".replace(",", "\u202f")) for name, n in counts)),
        "<h2>How often the scores are right</h2>",
        _table("Error rates and costs", ("measure", ">value", f">{interval}"), rows),
        f'<p class="faint">{note}</p>',
    ]


def _pictures(scores: Scores, e: Evaluation) -> list[str]:
    """Return the curve of errors, the histograms and the calibration."""
    application = Application(e.prior, e.cost_miss, e.cost_fa)
    rate = _percent(e.eer)
    det = _figure(
        lambda ax: plot.plot_det(scores, application=application, ax=ax),
        "det",
        f"DET curve: misses against false alarms on normal-deviate axes, with an equal error rate of {rate}.",
        "Misses against false alarms, as the threshold moves; lower left is better.",
    )
    histograms = _figure(
        lambda ax: plot.plot_histograms(scores, threshold=e.eer_threshold, ax=ax),
        "histograms",
        f"Histograms of the scores of targets and impostors, with a line at the threshold {e.eer_threshold:.3g}.",
        "Scores of targets and impostors; the line is where both errors are about equally frequent.",
    )
    calibration = _figure(
        lambda ax: plot.plot_calibration(scores, ax=ax),
        "calibration",
        f"Observed log-likelihood ratio against the score: Cllr {e.cllr:.3g} bits, at best {e.min_cllr:.3g}.",
        "What scores say against what is observed: on the dashed line a score is the log-likelihood ratio it claims.",
    )
    return ["<h2>Pictures</h2>", f'<div class="pictures">{det}{histograms}{calibration}</div>']


def _searches(e: Evaluation) -> list[str]:
    """Return how often the right speaker is found, and who is taken for whom."""
    if not e.cmc:
        return []
    parts = ["<h2>Who is it? Searches among all enrolled speakers</h2>"]
    rows = ((f"{i}", _percent(rate)) for i, rate in enumerate(e.cmc, 1))
    parts.append(_table("Own speaker among so many highest scores", ("highest scores", ">share of the tests"), rows))
    if e.open_set:
        o = e.open_set
        parts.append(
            f"<p>With strangers: at the threshold {o.threshold:.4g}, at which {_percent(o.measured)} of {o.strangers} "
            f"searches for a stranger accept anybody (allowed: {_percent(o.far)}), {_percent(o.rate)} of "
            f"{o.known} tests of enrolled speakers find and accept their own speaker"
            f"{_bracket(_span(e, 'open_set_rate', percent=True))}.</p>"
        )
    if e.confusion:
        confusion = e.confusion
        if len(confusion.labels) <= _LABELS:
            description = f"Confusion matrix of {len(confusion.labels)} speakers; the mistakes are in the table below."
            text = "Each row is a speaker, shaded by whom the tests were taken for."
            parts.append(_figure(lambda ax: plot.plot_confusion(confusion, ax=ax), "confusion", description, text))
        mistakes = confusion.confusions(_MISTAKES)
        columns = ("speaker", "taken for", ">tests")
        if mistakes:
            parts.append(_table("The most frequent mistakes", columns, ((a, b, str(n)) for a, b, n in mistakes)))
        else:
            parts.append("<p>No test was taken for somebody else.</p>")
    return parts


def _durations(e: Evaluation) -> list[str]:
    """Return the error rates by the amount of speech."""
    if not e.durations:
        return []
    rows = (
        (f"{d.low:.1f} to {d.high:.1f}", str(d.tests), *map(_percent, (d.eer, d.p_miss, d.p_fa)), _ends(d.interval))
        for d in e.durations
    )
    header = ("speech, s", ">tests", ">equal error rate", ">misses", ">false alarms", ">interval of the EER")
    caption = "Misses and false alarms are those at one threshold for all tests"
    picture = _figure(
        lambda ax: plot.plot_durations(e.durations, ax=ax),
        "durations",
        "Error rates against the seconds of speech in the test; the numbers are in the table.",
        "Error against the speech in the test.",
    )
    return ["<h2>How much speech is enough?</h2>", picture, _table(caption, header, rows)]


def _nist(e: Evaluation) -> list[str]:
    """Return the costs at NIST's operating points."""
    rows = []
    for cost in e.nist:
        points = " and ".join(f"{p.prior:g}" for p in NIST[cost.name])
        costs = f"{NIST[cost.name][0].cost_miss:g}, {NIST[cost.name][0].cost_fa:g}"
        span = _span(e, f"min_dcf {cost.name}")
        rows.append((cost.name, points, costs, _plain(cost.min_dcf), span, _plain(cost.actual_dcf)))
    header = ("evaluation", "prior", "costs", ">minimum cost", ">interval", ">actual cost")
    return ["<h2>Costs at the operating points of NIST</h2>", _table("Normalized detection costs", header, rows)]


def _left_out(e: Evaluation) -> list[str]:
    """Return what is not there, and why."""
    if not e.left_out:
        return []
    items = "".join(f"<li>{escape(reason)}</li>" for reason in e.left_out)
    return ["<h2>What was left out</h2>", f"<ul>{items}</ul>"]


def _figure(draw: Callable[[Any], object], name: str, description: str, caption: str) -> str:
    picture = svg(draw, name=name, description=description)
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column names its rows; columns whose name begins with ">" hold numbers."""
    kinds = [' class="number"' if name.startswith(">") else "" for name in header]
    names = [escape(name.removeprefix(">")) for name in header]
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for name, kind in zip(names, kinds, strict=True))
    body = []
    for first, *others in rows:
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(others, kinds[1:], strict=True))
        body.append(f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>')
    inside = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>{inside}</table></div>'


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _plain(value: float) -> str:
    return f"{value:.4f}"


def _ends(interval: Interval | None, *, percent: bool = True) -> str:
    if interval is None:
        return ""
    form = _percent if percent else _plain
    return f"{form(interval.low).removesuffix(' %')} to {form(interval.high)}"


def _span(e: Evaluation, name: str, *, percent: bool = False) -> str:
    return _ends(e.intervals.get(name), percent=percent)


def _bracket(text: str) -> str:
    return f" ({text})" if text else ""
