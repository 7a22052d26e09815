"""The command line: each command is a few lines over the public API, and a script can do the same with one call.

Exit status: 0 done, and for ``verify`` accepted; 1 the input was refused, or a part of it, with one line on standard
error for each refusal; 2 wrong usage; 3 not accepted (``verify``); 130 interrupted, 143 asked to end. With
``--json`` standard output holds one JSON object and nothing else.
"""

import contextlib
import gc
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from speechgmm import __version__
from speechgmm.cli import (
    adapt,
    calibrate,
    classify,
    enroll,
    evaluate,
    export,
    features,
    identify,
    import_mixture,
    info,
    score,
    speakers,
    train,
    verify,
)
from speechgmm.cli.output import Command, Commands, ending_in_order, one_line
from speechgmm.errors import SpeechGMMWarning

__all__ = ["app", "main"]

_PLAIN = warnings.formatwarning

app = typer.Typer(cls=Commands, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
app.command(cls=Command)(train.train)
app.command(cls=Command)(adapt.adapt)
app.command(cls=Command)(enroll.enroll)
app.command(cls=Command)(identify.identify)
app.command(cls=Command)(verify.verify)
app.command(cls=Command)(score.score)
app.command(cls=Command)(evaluate.evaluate)
app.command(cls=Command)(calibrate.calibrate)
app.add_typer(speakers.app, name="speakers")
app.command(cls=Command)(info.info)
app.command(cls=Command)(features.features)
app.add_typer(classify.app, name="classify")
app.command(cls=Command)(export.export_onnx)
app.command(cls=Command)(export.export_c)
app.command(cls=Command)(export.export_kaldi)
app.command(cls=Command)(export.export_htk)
app.command(cls=Command)(import_mixture.import_mixture)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line with `args`, or with those of this process, and exit."""
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names may hold what the terminal cannot show
    warnings.formatwarning = _shown
    with contextlib.nullcontext() if args is not None else _little_garbage(), ending_in_order():
        app(args=args, prog_name="speechgmm")


_OBJECTS = 20_000
"""After so many new objects garbage is looked for; Python does it after 700, of which an import makes thousands."""


@contextlib.contextmanager
def _little_garbage() -> Iterator[None]:
    """Look for circles of garbage less often in a process of our own, and not at all when it ends.

    Libraries make some 300 000 objects that stay, and no recording leaves a circle that holds an array. Looking through
    all of them again took a quarter of the time of a short command, most of it at the end, when the process
    gives back its memory anyway.
    """
    gc.set_threshold(_OBJECTS)
    try:
        yield
    finally:
        gc.freeze()


def _shown(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """Return a warning of ours as the one line that a refusal has, too, and any other as Python writes it."""
    if issubclass(category, SpeechGMMWarning):
        return one_line(str(message))
    return _PLAIN(message, category, filename, lineno, line)


def _open_streams() -> None:
    """Open the null device for standard streams that are closed: the next file to be opened would take their place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115


def _version(wanted: bool) -> None:
    if wanted:
        print(f"speechgmm {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Who speaks? Speaker recognition with Gaussian mixtures: train, enroll, identify, verify, evaluate."""
