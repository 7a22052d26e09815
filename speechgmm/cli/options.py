"""Arguments that several commands share, and what is read from them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from speechgmm.checks import refuse
from speechgmm.errors import InvalidInput

if TYPE_CHECKING:
    from speechgmm.features import Corpus
    from speechgmm.speakers import Rule, System

CORPUS = "CSV with the columns path,speaker; folder with one subfolder a speaker; or Kaldi directory."

CorpusArgument = Annotated[str, typer.Argument(metavar="CORPUS", help=CORPUS, show_default=False)]
ManifestOption = Annotated[str | None, typer.Option("--manifest", metavar="CORPUS", help=CORPUS)]
FilesArgument = Annotated[list[str], typer.Argument(metavar="FILE", help="Recordings.", show_default=False)]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help="Model file that train wrote; default: the one of the package."),
]
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
    float | None, typer.Option("--far", min=0, max=1, help="Share of strangers accepted as anybody; default 0.01.")
]
PriorOption = Annotated[
    float | None,
    typer.Option("--prior", min=0, max=1, help="Probability that somebody enrolled speaks; costs decide."),
]
CostMissOption = Annotated[float | None, typer.Option("--cost-miss", min=0, help="With --prior: of a miss; default 1.")]
CostFaOption = Annotated[
    float | None, typer.Option("--cost-fa", min=0, help="With --prior: of a false accept; default 1.")
]


def usage(message: str) -> NoReturn:
    """Leave with exit status 2."""
    raise typer.BadParameter(message)


def load_model(path: str | None) -> System:
    """Read the model, or the one that comes with the package."""
    from speechgmm.speakers import default_system, load_system

    return default_system() if path is None else load_system(path)


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


def rule_of(
    far: float | None,
    prior: float | None,
    cost_miss: float | None,
    cost_fa: float | None,
    threshold: float | None = None,
) -> Rule:
    """Return when to accept, or say which options do not go together."""
    from speechgmm.speakers import Rule

    costs = {"cost_miss": cost_miss, "cost_fa": cost_fa}
    given = {name: value for name, value in costs.items() if value is not None}
    if sum((far is not None, threshold is not None, prior is not None or bool(given))) > 1:
        usage("give --threshold, or --far, or --prior with costs")
    if given and prior is None:
        usage("--cost-miss and --cost-fa need --prior")
    try:
        return Rule(far, prior, given.get("cost_miss", 1.0), given.get("cost_fa", 1.0), threshold)
    except InvalidInput as error:
        usage(str(error))
