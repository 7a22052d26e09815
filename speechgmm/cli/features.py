"""The command features: what the front end makes of recordings."""

from typing import Annotated

import typer

from speechgmm.cli import options
from speechgmm.cli.output import emit, progress, table
from speechgmm.files import check_writable

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
    from speechgmm.features import FEATURES, Corpus, preset_for, write_features

    if model and preset:
        options.usage("give --model or --preset, not both")
    check_writable(output, FEATURES)
    corpus = Corpus.from_files(files)
    frontend = preset_for(corpus, preset) if preset else options.load_model_or_classifier(model, corpus).frontend
    with progress() as report:
        written = write_features(frontend, corpus, output, n_threads=threads, on_progress=report)
    told = [{"file": w.name, "frames": w.frames, "speech_seconds": w.speech_seconds, "error": w.error} for w in written]
    settings = {"dimensions": frontend.n_dimensions, "fingerprint": frontend.fingerprint}
    document = {"output": output, **settings, "files": told}
    shown = table("file", ">frames", ">speech, s", rows=((w.name, w.frames, w.speech_seconds) for w in written))
    note = f"\n{frontend.n_dimensions} features per frame, {1000 * frontend.hop_length:g} ms per frame, in {output}"
    emit(as_json, document, shown, note, errors=((w.name, w.error) for w in written))
