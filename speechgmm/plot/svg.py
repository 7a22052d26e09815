"""A picture as a piece of a web page, in colors that the page decides."""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

from speechgmm.checks import extra
from speechgmm.plot.axes import GRID, IMPOSTOR, TARGET

_INK = "#1a1b1c"
_VARIABLES = {_INK: "--ink", TARGET: "--target", IMPOSTOR: "--impostor", GRID: "--grid"}
"""Colors in a picture, and the CSS variables that take their place."""


def svg(draw: Callable[[Any], object], *, name: str, description: str, size: tuple[float, float] = (5.2, 4.2)) -> str:
    """Return an inline <svg> element whose colors are the variables --ink, --target, --impostor and --grid.

    Parameters
    ----------
    draw : callable
        Draws into the axes that it is given.
    name : str
        Letters and digits; begins the names of all parts, so that several pictures of one page do not share any.
    description : str
        What is seen, for those who do not see it.
    size : tuple of float
        Width and height in inches; on a page it is as wide as the page allows.
    """
    figures, matplotlib = extra("matplotlib.figure", "plot"), extra("matplotlib", "plot")
    colored = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    settings = dict.fromkeys(colored, _INK) | {"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10.0}
    settings["text.parse_math"] = False  # names are text, whatever is in them
    buffer = io.StringIO()
    with matplotlib.rc_context(settings):
        figure = figures.Figure(figsize=size, layout="constrained")
        with warnings.catch_warnings():  # letters that the font lacks are drawn by the browser
            warnings.filterwarnings("ignore", "Glyph", UserWarning)
            draw(figure.subplots())
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    text = re.sub(r'id="', f'id="{name}-', text)
    text = re.sub(r'href="#', f'href="#{name}-', text).replace("url(#", f"url(#{name}-")
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(description)}">{rest}'
