"""The command features: what the front end makes of recordings, and what is kept of it between runs."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from speechgmm.checks import number_of
from speechgmm.cli import options
from speechgmm.cli.output import emit, facts, progress, table

PLACES = "Arrays (.npz); a Kaldi archive (.ark), or a list (.scp) with one beside it; or a folder of .npy files (DIR/)."
FeaturesPlace = Annotated[str | None, options.output("OUT", PLACES)]
CacheInfo = Annotated[bool, typer.Option("--cache-info", help="Show what SPEECHGMM_CACHE keeps, and do nothing else.")]
CacheClear = Annotated[bool, typer.Option("--cache-clear", help="Remove what SPEECHGMM_CACHE keeps.")]
Preset = Annotated[options.PresetName | None, typer.Option("--preset", help="Front end, where no model is given.")]


def features(
    files: options.SomeFiles = None,
    output: FeaturesPlace = None,
    model: options.Model = None,
    preset: Preset = None,
    manifest: options.Manifest = None,
    where: options.Where = None,
    features: options.Features = None,
    cache_info: CacheInfo = False,
    cache_clear: CacheClear = False,
    max_failures: options.MaxFailures = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
) -> None:
    """Write the features of recordings, each under its name, as the mixtures of a model see them.

    Frames without speech are left out, and what is left is normalized as the front end says.
    """
    from speechgmm.features import check_features_place, preset_for, write_features

    if cache_info or cache_clear:
        if any((files, output, model, preset, manifest, where, features)) or (cache_info and cache_clear):
            options.usage("give --cache-info or --cache-clear alone")
        _show_cache(as_json, clear=cache_clear)
        return
    if output is None:
        options.usage("give -o OUT")
    if model and preset:
        options.usage("give --model or --preset, not both")
    corpus = options.files_or_manifest(files, manifest, where, features)
    own = None if model or preset else options.features_frontend(corpus, features, None)
    frontend = preset_for(corpus, preset) if preset else own
    frontend = frontend or options.load_model_or_classifier(model, corpus).frontend
    check_features_place(frontend, output)
    with progress() as report:
        how: dict[str, Any] = {"max_failures": max_failures, "n_threads": threads, "on_progress": report}
        written = write_features(frontend, corpus, output, **how)
    told = [{"file": w.name, "frames": w.frames, "speech_seconds": w.speech_seconds, "error": w.error} for w in written]
    made = {"dimensions": frontend.n_dimensions, "fingerprint": frontend.fingerprint}
    shown = table("file", ">frames", ">speech, s", rows=((w.name, w.frames, w.speech_seconds) for w in written))
    note = f"\n{frontend.n_dimensions} features per frame, {1000 * frontend.hop_length:g} ms per frame, in {output}"
    emit(as_json, {"output": output, **made, "files": told}, shown, note, errors=((w.name, w.error) for w in written))


def _show_cache(as_json: bool, *, clear: bool) -> None:
    """Show what is kept between runs, or what was removed of it."""
    from speechgmm.features.feature_cache import VARIABLE, feature_cache

    if (cache := feature_cache()) is None:
        options.usage(f"set the environment variable {VARIABLE} to a folder: nothing is kept without it")
    found = cache.clear() if clear else cache.info()
    shown = facts(
        {
            "folder": found.folder,
            "removed" if clear else "kept": number_of(found.recordings, "recording"),
            "size": f"{found.bytes / 1e6:.1f} MB of at most {found.limit / 1e9:g} GB",
        }
    )
    emit(as_json, {"cleared": clear, **asdict(found)}, shown)
