"""One self-contained web page about a table of scores: numbers in tables, pictures, and what was left out.

The page needs no network and no script. It fits a phone, follows the reader's choice of light or dark, and can be read
aloud. Whatever comes from files is escaped.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from speechgmm import __version__, plot
from speechgmm.evaluation import NIST, Application, ConfusionMatrix, Evaluation, Interval, Scores
from speechgmm.files import Kind, check_writable, replacing, starts_with
from speechgmm.plot.axes import require
from speechgmm.plot.svg import svg

__all__ = ["check_report", "render_report", "write_report"]

_LABELS = 60
"""With more speakers than these a picture of the confusion matrix shows nothing."""
_MISTAKES = 20
_BESIDE = 15
"""With more speakers than these the picture takes the whole width, so that their names can be read."""
_SIZE, _SMALL, _LARGE = (5.2, 4.8), (4.2, 4.0), (10.4, 9.0)
"""Width and height of a picture, in inches: beside another one, beside a wide table, and alone."""

PAGE = Kind("a web page", starts_with(b"<!doctype html", b"<html"))
"""What `write_report` writes."""

_STYLE = Path(__file__).with_suffix(".css")


def check_report(path: str | os.PathLike[str]) -> None:
    """Refuse a page that cannot be drawn or written, before the work and not after it.

    Raises
    ------
    InvalidInput
        For a path that must not or cannot be written to.
    MissingExtra
        Without matplotlib.
    """
    require()
    check_writable(path, PAGE)


def write_report(scores: Scores, evaluation: Evaluation, path: str | os.PathLike[str], *, title: str = "") -> None:
    """Write the page of `render_report`; the file appears whole or not at all.

    Raises
    ------
    InvalidInput
        For a place that cannot be written to.
    MissingExtra
        Without matplotlib.
    """
    check_report(path)
    page = render_report(scores, evaluation, title=title)
    with replacing(path, PAGE) as beside:
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
    heading = escape("Evaluation" + (f" of {title}" if title else ""))
    top = [f"<h1>{heading}</h1>", f'<p class="faint">Made by speechgmm {escape(__version__)}.</p>']
    sections = (_rates(e), _pictures(scores, e), _searches(e), _durations(e), _nist(scores, e), _left_out(e))
    body = "\n".join(itertools.chain(top, *sections))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f"{meta}<title>{heading}</title><style>\n{_STYLE.read_text('utf-8')}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'


def _rates(e: Evaluation) -> Iterator[str]:
    """Yield the counts and the main rates."""
    counts = {
        "enrolled speakers": e.speakers,
        "tests": e.tests,
        "trials": e.trials,
        "target trials: the test is spoken by the enrolled speaker": e.targets,
        "impostor trials: it is not": e.nontargets,
    }
    rows = ((what, f"{n:,}".replace(",", "\u202f")) for what, n in counts.items())
    tested = "<h2>What was tested</h2>" + _table("Counts", ("what", ">number"), rows)
    application = f"prior {e.prior:g}, costs {e.cost_miss:g} and {e.cost_fa:g}"
    measured = [
        ("Equal error rate", _percent(e.eer), _span(e, "eer", _percent)),
        (f"Minimum detection cost ({application})", _plain(e.min_dcf), _span(e, "min_dcf")),
        (f"Actual detection cost ({application})", _plain(e.actual_dcf), _span(e, "actual_dcf")),
        ("Minimum Cllr, bits", _plain(e.min_cllr), _span(e, "min_cllr")),
        ("Cllr, bits", _plain(e.cllr), _span(e, "cllr")),
    ]
    if (rate := e.identification_rate) is not None:
        found = _percent(rate), _span(e, "identification_rate", _percent)
        measured.append(("Tests whose own speaker scores highest", *found))
    level = next((f"{100 * i.level:g} % " for i in e.intervals.values()), "")
    right = "<h2>How often the scores are right</h2>"
    right += _table("Error rates and costs", ("measure", ">value", f">{level}interval"), measured)
    note = (
        "Actual cost and Cllr take the scores for calibrated log-likelihood ratios; the others know their order only."
    )
    if level:
        note += " Intervals come from leaving out one speaker after the other: what others of the kind would change."
    yield _beside(tested, f'{right}<p class="faint">{note}</p>', kind="even")


def _pictures(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield the curve of errors and the histograms."""
    cost, rate = Application(e.prior, e.cost_miss, e.cost_fa), _percent(e.eer)
    det = _figure(
        "det",
        lambda ax: plot.plot_det(scores, application=cost, ax=ax),
        f"DET curve: misses against false alarms on normal-deviate axes, with an equal error rate of {rate}.",
        "Misses against false alarms, as the threshold moves; lower left is better.",
    )
    histograms = _figure(
        "histograms",
        lambda ax: plot.plot_histograms(scores, threshold=e.eer_threshold, ax=ax),
        f"Histograms of the scores of targets and impostors, with a line at the threshold {e.eer_threshold:.3g}.",
        "Scores of targets and impostors; the line is where both errors are about equally frequent.",
    )
    yield "<h2>Pictures</h2>"
    yield _beside(det, histograms)


def _searches(e: Evaluation) -> Iterator[str]:
    """Yield how often the right speaker is found, and who is taken for whom."""
    if not e.cmc:
        return
    yield "<h2>Who is it? Searches among all enrolled speakers</h2>"
    rates = ((str(i), _percent(rate)) for i, rate in enumerate(e.cmc, 1))
    ranks = _table("Own speaker among so many highest scores", ("highest scores", ">share of the tests"), rates)
    if o := e.open_set:
        span = _span(e, "open_set_rate", _percent)
        ranks += (
            f"<p>With strangers: at the threshold {o.threshold:.4g}, at which {_percent(o.measured)} of {o.strangers} "
            f"searches for a stranger accept anybody (allowed: {_percent(o.far)}), {_percent(o.rate)} of "
            f"{o.known} tests of enrolled speakers find and accept their own speaker{f' ({span})' if span else ''}.</p>"
        )
    if not (confusion := e.confusion):
        yield ranks
        return
    ranks += _mistakes(confusion)
    if (n := len(confusion.labels)) > _LABELS:
        yield ranks
        return
    picture = _figure(
        "confusion",
        lambda ax: plot.plot_confusion(confusion, ax=ax),
        f"Confusion matrix of {n} speakers; the mistakes are in the table.",
        "Each row is a speaker, shaded by whom the tests were taken for.",
        size=_LARGE if n > _BESIDE else _SIZE,
    )
    yield f'{ranks}<div class="wide large">{picture}</div>' if n > _BESIDE else _beside(ranks, picture)


def _mistakes(confusion: ConfusionMatrix) -> str:
    """Return who is taken for whom most often."""
    if not (rows := [(a, b, str(tests)) for a, b, tests in confusion.confusions(_MISTAKES)]):
        return "<p>No test was taken for somebody else.</p>"
    table = _table("The most frequent mistakes", ("speaker", "taken for", ">tests"), rows)
    return f'<div class="names">{table}</div>'


def _durations(e: Evaluation) -> Iterator[str]:
    """Yield the error rates by the amount of speech."""
    if not e.durations:
        return
    yield "<h2>How much speech is enough?</h2>"
    picture = _figure(
        "durations",
        lambda ax: plot.plot_durations(e.durations, ax=ax),
        "Error rates against the seconds of speech in the test; the numbers are in the table.",
        "Error against the speech in the test.",
        size=_SMALL,
    )
    header = ("speech, s", ">tests", ">equal error rate", ">misses", ">false alarms", ">interval of the EER")
    rows = []
    for d in e.durations:
        rates = map(_percent, (d.eer, d.p_miss, d.p_fa))
        rows.append((f"{d.low:.1f} to {d.high:.1f}", str(d.tests), *rates, _ends(d.interval, _percent)))
    yield _beside(picture, _table("Misses and false alarms are those at one threshold for all tests", header, rows))


def _nist(scores: Scores, e: Evaluation) -> Iterator[str]:
    """Yield the costs at NIST's operating points, and the calibration, which actual costs depend on."""
    rows = []
    for cost in e.nist:
        points = NIST[cost.name]
        priors, costs = " and ".join(f"{p.prior:g}" for p in points), f"{points[0].cost_miss:g}, {points[0].cost_fa:g}"
        least = _plain(cost.min_dcf), _span(e, f"min_dcf {cost.name}")
        rows.append((cost.name, priors, costs, *least, _plain(cost.actual_dcf)))
    header = ("evaluation", "prior", "costs", ">minimum cost", ">interval", ">actual cost")
    yield "<h2>Costs at the operating points of NIST</h2>"
    calibration = _figure(
        "calibration",
        lambda ax: plot.plot_calibration(scores, ax=ax),
        f"Observed log-likelihood ratio against the score: Cllr {e.cllr:.3g} bits, at best {e.min_cllr:.3g}.",
        "What scores say against what is observed: on the dashed line a score is the log-likelihood ratio it claims.",
        size=_SMALL,
    )
    yield _beside(_table("Normalized detection costs", header, rows), calibration)


def _left_out(e: Evaluation) -> Iterator[str]:
    """Yield what is not there, and why."""
    if e.left_out:
        yield "<h2>What was left out</h2>"
        yield "<ul>{}</ul>".format("".join(f"<li>{escape(reason)}</li>" for reason in e.left_out))


def _beside(*parts: str, kind: str = "") -> str:
    """Return parts side by side where there is room, else one under the other.

    Pictures take what tables leave; parts of the kind "even" take halves.
    """
    boxes = (f'<div class="{kind or ("picture" if p.startswith("<figure") else "table")}">{p}</div>' for p in parts)
    return f'<div class="beside">{"".join(boxes)}</div>'


def _figure(
    name: str, draw: Callable[[Any], object], description: str, caption: str, size: tuple[float, float] = _SIZE
) -> str:
    picture = svg(draw, name=name, description=description, size=size)
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table whose first column names its rows; columns whose name begins with ">" hold numbers."""
    kinds = [' class="number"' if name.startswith(">") else "" for name in header]
    names = [escape(name.removeprefix(">")) for name in header]
    head = "".join(f'<th scope="col"{kind}>{name}</th>' for name, kind in zip(names, kinds, strict=True))
    body = ""
    for first, *others in rows:
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(others, kinds[1:], strict=True))
        body += f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
    inside = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>{inside}</table></div>'


def _percent(rate: float) -> str:
    return f"{100 * rate:.2f} %"


def _plain(value: float) -> str:
    return f"{value:.4f}"


def _ends(interval: Interval | None, form: Callable[[float], str]) -> str:
    """Return the ends of an interval, the unit behind the second."""
    return "" if interval is None else f"{form(interval.low).removesuffix(' %')} to {form(interval.high)}"


def _span(e: Evaluation, name: str, form: Callable[[float], str] = _plain) -> str:
    return _ends(e.intervals.get(name), form)
