"""Arguments that several commands share, and what is read from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from speechgmm.checks import refuse

if TYPE_CHECKING:
    from speechgmm.features import Corpus
    from speechgmm.speakers import System

CORPUS = "CSV with the columns path,speaker; folder with one subfolder a speaker; or Kaldi directory."

CorpusArgument = Annotated[str, typer.Argument(metavar="CORPUS", help=CORPUS, show_default=False)]
ManifestOption = Annotated[str | None, typer.Option("--manifest", metavar="CORPUS", help=CORPUS)]
FilesArgument = Annotated[list[str], typer.Argument(metavar="FILE", help="Recordings.", show_default=False)]
ModelOption = Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Model file that train wrote.")]
StoreOption = Annotated[
    str,
    typer.Option(
        "--store", metavar="STORE", help="Enrolled speakers: SQLite file or database URL.", show_default=False
    ),
]
WhereOption = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="COLUMN=VALUE", help="Keep these rows; repeat: all columns, any value of one."),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, metavar="N", help="Default: all cores. Results do not depend on it.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
FarOption = Annotated[
    float | None, typer.Option("--far", min=0, max=1, help="Accept strangers at this rate. Needs a calibrated model.")
]
PriorOption = Annotated[
    float | None, typer.Option("--prior", min=0, max=1, help="Prior of the speaker. Needs a calibrated model.")
]
CostMissOption = Annotated[float | None, typer.Option("--cost-miss", min=0, help="Cost of a miss, with --prior.")]
CostFaOption = Annotated[float | None, typer.Option("--cost-fa", min=0, help="Cost of a false accept, with --prior.")]


def usage(message: str) -> NoReturn:
    """Leave with exit status 2."""
    raise typer.BadParameter(message)


def load_model(path: str | None) -> System:
    """Read the model, which must be named until the package brings one."""
    if path is None:
        advice = "Train one with: speechgmm train CORPUS -o model.safetensors"
        refuse("--model", "name a model file, as this version brings no model", "none", advice)
    from speechgmm.speakers import load_system

    return load_system(path)


def load_corpus(source: str, where: list[str] | None, *, label: str = "speaker") -> Corpus:
    """Read a corpus and keep the rows asked for; a CSV must have the column `label`."""
    conditions: dict[str, list[str]] = {}
    for condition in where or []:
        column, equals, value = condition.partition("=")
        if not equals or not column:
            usage(f"--where takes COLUMN=VALUE; got {condition!r}")
        conditions.setdefault(column, []).append(value)
    from speechgmm.features import read_corpus

    return read_corpus(source, label=label).where(**{k: v[0] if len(v) == 1 else v for k, v in conditions.items()})


def check_output(path: str) -> str:
    """Return a path that can be written to, and refuse another one before the work and not after it."""
    folder = Path(path).parent
    if not folder.is_dir():
        refuse("the file to write", "be in a folder that exists", path, f"Make it first: mkdir -p {folder}")
    if Path(path).is_dir() or not os.access(folder, os.W_OK):
        refuse("the file to write", "name a file that can be written", path)
    return path


def check_decision(
    model: str | None, far: float | None, prior: float | None, cost_miss: float | None, cost_fa: float | None
) -> None:
    """Refuse decisions by rate or cost: they need a calibration, which no model of this version has."""
    given = {"--far": far, "--prior": prior, "--cost-miss": cost_miss, "--cost-fa": cost_fa}
    names = [name for name, value in given.items() if value is not None]
    if far is not None and len(names) > 1:
        usage("give --far, or --prior with costs, not both")
    if names:
        advice = "Leave it out and read the ranking, or give verify a --threshold."
        refuse(f"the model {model}", f"be calibrated for {' and '.join(names)}", "one that gives raw scores", advice)
