"""The errors of this package: one root, and a name for each thing that a caller may want to catch.

Every message says what was refused, the rule, what was found, and what to do about it. Where one of many recordings is
refused, work goes on with the others; `Skipped` then says which was left out, and why.
"""

from dataclasses import dataclass


class SpeechGMMError(Exception):
    """Root of all errors that this package raises on purpose.

    Examples
    --------
    >>> import speechgmm
    >>> try:
    ...     speechgmm.read_corpus("nowhere.csv")
    ... except speechgmm.SpeechGMMError as error:
    ...     print(str(error).partition(";")[0])
    a corpus must exist
    """


class InvalidInput(SpeechGMMError, ValueError):
    """An argument, a file or a table breaks a stated rule."""


class BadCorpus(InvalidInput):
    """Several lines or files of a corpus are refused: the message lists them, and `problems` holds every one."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        """Keep the messages of all problems beside the one that lists them."""
        super().__init__(message)
        self.problems = problems


class AudioError(InvalidInput):
    """A sound cannot be read, or is not usable as it is."""


class TooLittleSpeech(AudioError):
    """A recording holds no speech, or less than the front end requires."""


class IncompatibleModel(InvalidInput):
    """A model, a store or features were made with other settings than the ones they meet."""


class UnknownSpeaker(InvalidInput):
    """A speaker, or one of a speaker's sessions, is not in the store."""


class SameRecording(InvalidInput):
    """A recording is already enrolled, or would be tested against itself."""


class WrongKey(InvalidInput):
    """An encrypted store is opened without its key or with another one, or one that is not encrypted with a key."""


class StoreInUse(InvalidInput):
    """Another process holds a store for longer than one waits for it."""


class NotErased(SpeechGMMError):
    """A change of a store is done, and what was removed may still be in its files: the next change overwrites it."""


class BrokenCluster(SpeechGMMError):
    """A Dask cluster does not answer, has no workers, or loses them again and again."""


class MissingExtra(SpeechGMMError, ImportError):
    """An optional dependency is needed and not installed."""


class SpeechGMMWarning(UserWarning):
    """Something goes on, but not as one would expect."""


class DamagedSessionWarning(SpeechGMMWarning):
    """Sessions of a store are damaged: speakers are scored without them, or left out if nothing else is theirs."""


@dataclass(frozen=True)
class Skipped:
    """A recording that was left out, by its `name`, and the `reason`: the message of the error that it met."""

    name: str
    reason: str
