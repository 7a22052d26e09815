"""Mixtures in text files of Kaldi or HTK, told by their content, and models of speakers that are made of them."""

import os
from dataclasses import dataclass

from speechgmm.checks import escaped, refuse
from speechgmm.features import OwnFeatures
from speechgmm.interchange.htk import read_htk
from speechgmm.interchange.kaldi import read_kaldi
from speechgmm.interchange.text import first_characters
from speechgmm.looks import Shown
from speechgmm.mixture import GMM
from speechgmm.speakers import System
from speechgmm.storage import versions


@dataclass(frozen=True, eq=False)
class ImportedMixture(Shown):
    """A mixture that was read, the `toolkit` that its file is of ("Kaldi" or "HTK"), and the `name` of the file."""

    mixture: GMM
    toolkit: str
    name: str


def read_mixture(path: str | os.PathLike[str]) -> ImportedMixture:
    """Read a mixture of Kaldi or HTK, whichever the file holds; see `read_kaldi` and `read_htk`.

    Parameters
    ----------
    path : path

    Raises
    ------
    InvalidInput
        If it is neither, or what the two refuse.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.interchange import write_htk
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_htk(GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]])), f"{folder.name}/ubm")
    >>> found = read_mixture(f"{folder.name}/ubm")
    >>> found.toolkit, found.mixture.n_components
    ('HTK', 2)
    >>> folder.cleanup()
    """
    beginning, name = first_characters(path), escaped(os.path.basename(os.fspath(path)))
    if beginning.startswith(("\0B", "<DiagGMM", "<FullGMM")):
        return ImportedMixture(read_kaldi(path), "Kaldi", name)
    if beginning.lower().startswith(("~", "<beginhmm>")):
        return ImportedMixture(read_htk(path), "HTK", name)
    rule = "be a mixture in the text of Kaldi (<DiagGMM>, <FullGMM>) or HTK (~o, ~h)"
    return refuse(os.fspath(path), rule, repr(beginning[:20]) if beginning else "an empty file")


def imported_system(imported: ImportedMixture, *, hop_length: float = OwnFeatures.hop_length) -> System:
    """Return a model of speakers whose background model a mixture is.

    It takes features as the toolkit makes them, and no sound (see `OwnFeatures`), and has no calibration: scores rank
    speakers.

    Parameters
    ----------
    imported : ImportedMixture
    hop_length : float
        Seconds from one frame of the features to the next.

    Raises
    ------
    InvalidInput
        If the step is out of its range, or the mixture is beyond what speech is scored in.

    Examples
    --------
    >>> import tempfile
    >>> from speechgmm.interchange import read_mixture, write_kaldi
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> folder = tempfile.TemporaryDirectory()
    >>> write_kaldi(GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]])), f"{folder.name}/ubm.txt")
    >>> system = imported_system(read_mixture(f"{folder.name}/ubm.txt"))
    >>> system.frontend, system.calibration is None
    (OwnFeatures(dimensions=1), True)
    >>> folder.cleanup()
    """
    mixture = imported.mixture
    frontend = OwnFeatures(dimensions=mixture.n_dimensions, hop_length=hop_length)
    info = {"about": {"imported from": f"{imported.toolkit}: {imported.name}"}, "versions": versions("numpy")}
    return System(frontend, mixture, info=info)
