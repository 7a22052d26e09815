"""The command features: what the front end makes of recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.output import counting, emit, table

if TYPE_CHECKING:
    from speechgmm.features import MFCC, Corpus

ArrayFile = Annotated[str, options.output("OUT.npz", "Arrays.")]
Preset = Annotated[options.PresetName | None, typer.Option("--preset", help="Front end, where no model is given.")]


def features(
    files: options.Files,
    output: ArrayFile,
    model: options.Model = None,
    preset: Preset = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Write the features of recordings: an array for each file, and the settings as JSON under "frontend"."""
    from speechgmm import parallel
    from speechgmm.features import Corpus, write_features

    options.check_output(output)
    corpus = Corpus.from_files(files)
    frontend = _frontend(corpus, model, preset)
    with counting(len(corpus)) as count:
        written = write_features(frontend, corpus, output, mapper=parallel.threads(threads), on_progress=count)
    document = {
        "output": output,
        "dimensions": frontend.n_dimensions,
        "fingerprint": frontend.fingerprint,
        "files": [{"file": w.name, "frames": w.frames, "speech_seconds": w.seconds, "error": w.error} for w in written],
    }
    shown = table("file", ">frames", ">speech, s", rows=((w.name, w.frames, f"{w.seconds:.2f}") for w in written))
    note = f"\n{frontend.n_dimensions} features per frame, {1000 * frontend.hop_length:g} ms per frame, in {output}"
    emit(as_json, document, shown, note, errors=((w.name, w.error) for w in written))


def _frontend(corpus: Corpus, model: str | None, preset: options.PresetName | None) -> MFCC:
    """Return the front end of the model or classifier, or the one of this name at the lowest rate of the files."""
    from speechgmm.features import common_rate
    from speechgmm.features import preset as named

    if model and preset:
        options.usage("give --model or --preset, not both")
    if preset:
        return named(preset, min(common_rate(corpus, minimum=8000), 48000))
    return (options.load_model_or_classifier(model) if model else options.load_model(None)).frontend
