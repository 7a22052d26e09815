"""The models that come with the package, one for 16 kHz and one for telephones, and which of them fits what."""

from collections.abc import Iterable
from pathlib import Path

from speechgmm.checks import refuse
from speechgmm.errors import SpeechGMMError
from speechgmm.features import Sound, common_rate
from speechgmm.speakers.system import System, load_system

_FOLDER = Path(__file__).parent.parent / "models"
PACKAGED = {16000: _FOLDER / "read_speech_16k.sgmm", 8000: _FOLDER / "read_speech_8k.sgmm"}
"""The models by the rate of what they take, in Hz; `recipes/train_default_ubm` makes them."""


def default_system(sample_rate: int = 16000) -> System:
    """Return a system that comes with the package; its `info` says what it is made of.

    Parameters
    ----------
    sample_rate : int
        Of what it takes, in Hz. 16000: read speech by close microphones; 8000: the same readers through simulated
        telephones. `packaged_rate` says which of them recordings need.

    Raises
    ------
    InvalidInput
        If there is none of this rate.

    Examples
    --------
    >>> default_system(8000).frontend.sample_rate
    8000
    """
    if sample_rate not in PACKAGED:
        advice = "Train a model of another rate."
        refuse("the rate of a packaged model", "be " + " or ".join(map(str, PACKAGED)), repr(sample_rate), advice)
    return load_system(PACKAGED[sample_rate])


def packaged_rate(sounds: Iterable[Sound]) -> int:
    """Return the rate of the packaged model that takes all of these sounds, where one does, in Hz.

    Parameters
    ----------
    sounds : iterable of paths, signals or recordings
        Those that cannot be read, bare samples and files of features count for nothing.

    Returns
    -------
    int
        8000 if any is below 16 kHz, else 16000.

    Examples
    --------
    >>> packaged_rate(["data/slt/s1_1.flac"])
    16000
    """
    try:
        lowest = common_rate(sounds)
    except SpeechGMMError:
        return max(PACKAGED)
    return max((rate for rate in PACKAGED if rate <= lowest), default=min(PACKAGED))


def packaged_with(fingerprint: str) -> System | None:
    """Return the packaged system of this fingerprint, as a store tells it, or None if it is of another model.

    Examples
    --------
    >>> import speechgmm
    >>> packaged_with(speechgmm.default_system().fingerprint).frontend.sample_rate
    16000
    >>> packaged_with("of another model") is None
    True
    """
    systems = map(default_system, PACKAGED)
    return next((system for system in systems if system.fingerprint == fingerprint), None)
