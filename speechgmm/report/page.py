"""One self-contained web page about a table of scores: numbers in tables, pictures, and what was left out.

The page needs no network and no script. It fits a phone, follows the reader's choice of light or dark, and can be read
aloud.
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from speechgmm import __version__
from speechgmm.evaluation import Evaluation, FalseAccepts, Scores, bona_fide
from speechgmm.files import Kind, check_writable, replacing, starts_with
from speechgmm.looks import text
from speechgmm.plot.axes import require
from speechgmm.report import sections, validation

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

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> check_report(f"{folder.name}/report.html")  # refuses nothing
    >>> folder.cleanup()
    """
    require()
    check_writable(path, PAGE)


def write_report(
    scores: Scores,
    evaluation: Evaluation,
    path: str | os.PathLike[str],
    *,
    title: str = "",
    accepted: Sequence[FalseAccepts] = (),
) -> None:
    """Write the page of `render_report`; the file appears whole or not at all.

    Raises
    ------
    InvalidInput
        For a place that cannot be written to.
    MissingExtra
        Without matplotlib.

    Examples
    --------
    >>> import os
    >>> import tempfile
    >>> from speechgmm.evaluation import Scores, evaluate
    >>> scores = Scores(["ann", "bob"] * 2, ["a.wav"] * 2 + ["b.wav"] * 2, [1.5, -2.0, -1.0, 2.5], [1, 0, 0, 1])
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_report(scores, evaluate(scores), f"{folder.name}/report.html")
    >>> os.listdir(folder.name)
    ['report.html']
    >>> folder.cleanup()
    """
    check_report(path)
    page = render_report(scores, evaluation, title=title, accepted=accepted)
    with replacing(path, PAGE) as beside:
        beside.write_bytes(page.encode("utf-8", "replace"))


def render_report(
    scores: Scores, evaluation: Evaluation, *, title: str = "", accepted: Sequence[FalseAccepts] = ()
) -> str:
    """Return an HTML page about scores and what `speechgmm.evaluate` found in them.

    Parameters
    ----------
    scores : Scores
        With labels. Trials of attacks are in the section about them alone.
    evaluation : Evaluation
        Of these scores.
    title : str
        Such as the name of the file; shown as text, whatever is in it.
    accepted : sequence of FalseAccepts
        What strangers were accepted at thresholds of a calibration, if there is one (`TableCalibration.false_accepts`).

    Examples
    --------
    >>> from speechgmm.evaluation import Scores, evaluate
    >>> scores = Scores(["ann", "bob"] * 2, ["a.wav"] * 2 + ["b.wav"] * 2, [1.5, -2.0, -1.0, 2.5], [1, 0, 0, 1])
    >>> page = render_report(scores, evaluate(scores), title="Two speakers")
    >>> page.rstrip().endswith("</html>"), "Two speakers" in page
    (True, True)
    """
    e, scores = evaluation, bona_fide(scores)
    heading = text("Evaluation" + (f" of {title}" if title else ""))
    top = [f"<h1>{heading}</h1>", f'<p class="faint">Made by speechgmm {text(__version__)}.</p>']
    parts = (
        sections.rates_section(scores, e),
        validation.errors_section(e, accepted),
        sections.pictures_section(scores, e),
        validation.llrs_section(scores, e),
        sections.attacks_section(e),
        sections.searches_section(e),
        sections.durations_section(e),
        validation.conditions_section(e),
        sections.nist_section(scores, e),
        validation.not_shown_section(scores, e),
        sections.left_out_section(e),
    )
    body = "\n".join(itertools.chain(top, *parts))
    meta = '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
    head = f"{meta}<title>{heading}</title><style>\n{_STYLE.read_text('utf-8')}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body><main>\n{body}\n</main></body></html>\n'
