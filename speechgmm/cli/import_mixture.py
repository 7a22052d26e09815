"""The command import-mixture: a background model that Kaldi or HTK trained, for features from elsewhere."""

from typing import Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.info import emit_model

File = Annotated[str, options.argument("FILE", "Mixture as text: Kaldi's <DiagGMM> or <FullGMM>, or HTK's ~o and ~h.")]
STEP = "Of the features: from frame to frame."
HopLength = Annotated[float | None, typer.Option("--hop-length", metavar="SECONDS", help=STEP, show_default="0.01")]


def import_mixture(
    file: File,
    output: options.ModelFile,
    hop_length: HopLength = None,
    as_json: options.Json = False,
) -> None:
    """Make a model of a mixture of Kaldi or HTK. It takes features as that toolkit makes them, and no sound.

    It is not calibrated: scores rank speakers.
    """
    from speechgmm.features import OwnFeatures
    from speechgmm.files import check_writable
    from speechgmm.interchange import imported_system, read_mixture
    from speechgmm.speakers import System
    from speechgmm.storage import kind_of

    check_writable(output, kind_of(System))
    step = OwnFeatures.hop_length if hop_length is None else hop_length
    options.asked(lambda: OwnFeatures(dimensions=1, hop_length=step))
    system = imported_system(read_mixture(file), hop_length=step)
    system.save(output)
    emit_model(as_json, system, output)
