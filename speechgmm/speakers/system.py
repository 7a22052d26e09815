"""System: front end, UBM and relevance factor as one frozen value, saved as one file."""

import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike

from speechgmm import storage
from speechgmm.checks import Array, enumerated, hold, instance, number, refuse
from speechgmm.errors import IncompatibleModel
from speechgmm.features import MFCC, FrontEnd, OwnFeatures
from speechgmm.looks import Look, Shown
from speechgmm.mixture import GMM, UBM, Ensemble, Statistics
from speechgmm.mixture.covariance import COVARIANCES, Independent
from speechgmm.mixture.model import WITHIN
from speechgmm.speakers.calibration import TYPES, SystemCalibration
from speechgmm.speakers.familiarity import Familiarity

RELEVANCE = 8.0
"""Frames that the UBM counts for in each component of a speaker's model. 4 and 16 do nearly as well
(`recipes/benchmarks/accuracy.py`)."""
_APART = 1e-4
"""Means of models that are nearer to each other than this give one and the same score to everything."""


@dataclass(frozen=True, eq=False)
class System(Shown):
    """Everything that turns sound into scores.

    Parameters
    ----------
    frontend : FrontEnd
    ubm : GMM or Ensemble
        The universal background model, trained on features of this front end.
    relevance : float
        How many frames the UBM counts for when a speaker's means are adapted. It is chosen when scoring: stores
        keep statistics, so another value needs no new enrollment.
    calibration : SystemCalibration, optional
        What turns raw scores, log-likelihood ratios per frame, into calibrated ones that decisions rest on. Without,
        they rank speakers.
    info : mapping
        How it was made: versions, seed, data summary, objective trace.
    familiarity : Familiarity, optional
        What recordings are like those that it was trained on.
    by_recording : bool
        Whether the best candidates of a search are scored by each of their recordings (see `by_recording`), as the
        systems of ``train_system(quality="best")`` do. It takes independent features.

    Raises
    ------
    IncompatibleModel
        If the UBM is of another number of features.

    Examples
    --------
    >>> import speechgmm
    >>> system = speechgmm.default_system()
    >>> system.frontend.sample_rate, [part.n_components for part in system.ubm.parts]
    (16000, [64, 256, 128])
    """

    KIND: ClassVar = "a model of speakers"

    frontend: FrontEnd
    ubm: UBM
    relevance: float = RELEVANCE
    calibration: SystemCalibration | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    familiarity: Familiarity | None = None
    by_recording: bool = False

    def __post_init__(self) -> None:
        """Check that the parts fit."""
        instance(self.frontend, "the front end", FrontEnd)
        if not isinstance(self.ubm, Ensemble):
            instance(self.ubm, "the UBM", GMM)
        instance(self.info, "info", Mapping)
        instance(self.by_recording, "by_recording", bool)
        if self.by_recording:
            for part in self.ubm.parts:
                instance(part.covariance, "the covariance of a UBM whose speakers' recordings count", Independent)
        hold(self, relevance=number(self.relevance, "relevance", minimum=0.0, maximum=1e9, unit=" frames"))
        wanted, found = self.frontend.n_dimensions, self.ubm.n_dimensions
        if found != wanted:
            refuse("the UBM", f"have {wanted} features, as the front end gives", found, error=IncompatibleModel)
        self.ubm.check_reach("the UBM")
        if self.familiarity is not None:
            instance(self.familiarity, "what is familiar", Familiarity)
        if self.calibration is None:
            return
        instance(self.calibration, "the calibration", SystemCalibration)
        shape = self.ubm.means.shape
        if (cohort := self.calibration.cohort.shape[1:]) != shape:
            refuse("the cohort", f"have means of shape {shape}, as the UBM has", cohort, error=IncompatibleModel)
        low, high = (e(self.calibration.cohort, axis=0) / self.ubm.covariance.deviations() for e in (np.min, np.max))
        apart, far = float((high - low).max()), float(np.maximum(high, -low).max())
        if not (apart >= _APART and far <= WITHIN):
            rule = f"be of different people (by {_APART:g} deviations), within {WITHIN:g} deviations of the UBM"
            refuse("the cohort", rule, f"{apart:g} apart, {far:g} from the UBM", error=IncompatibleModel)

    def _look(self) -> Look:
        sizes = enumerated([str(part.n_components) for part in self.ubm.parts])
        words = [self.fingerprint, type(self.frontend).__name__, f"{sizes} components"]
        words.append("not calibrated" if self.calibration is None else "calibrated")
        facts = {
            "fingerprint": self.fingerprint,
            "front end": repr(self.frontend),
            "background": repr(self.ubm),
            "relevance": f"{self.relevance:g} frames",
            "calibrated": "yes" if self.calibration else "no: scores rank, they do not decide before five are enrolled",
            "candidates": "the best are scored by each of their recordings" if self.by_recording else "",
        }
        return Look(tuple(words), {name: fact for name, fact in facts.items() if fact})

    @functools.cached_property
    def fingerprint(self) -> str:
        """Names front end and UBM: statistics of systems with the same one can be added and compared."""
        return storage.fingerprint(self.frontend, self.ubm)

    def check_features(self, features: ArrayLike) -> Array:
        """Return features as a finite matrix (N, D), or say how to extract those that this system needs."""
        return self.frontend.check_features(features, "this UBM")

    def statistics(self, features: ArrayLike) -> Statistics:
        """Return the sufficient statistics of features (N, D) against the UBM."""
        return self.ubm.statistics(self.check_features(features))

    def summary(self) -> dict[str, Any]:
        """Return settings, sizes and how it was made, in types that JSON holds."""
        measured = None if self.calibration is None else dict(self.calibration.measured)
        return {
            "type": "System",
            "fingerprint": self.fingerprint,
            "calibrated": self.calibration is not None,
            "calibration": measured,
            "relevance": self.relevance,
            "by_recording": self.by_recording,
            "components": self.ubm.n_components,
            "mixtures": [p.n_components for p in self.ubm.parts] if isinstance(self.ubm, Ensemble) else None,
            "dimensions": self.ubm.n_dimensions,
            "frontend": self.frontend.settings,
            "info": dict(self.info),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file; the same system gives the same bytes."""
        storage.save(self, path)


def load_system(path: str | os.PathLike[str], *types: type) -> System:
    """Read what `System.save` wrote.

    Parameters
    ----------
    path : path
    types : type
        Front ends, and covariances, that are not of this package: nothing else is built from a file.

    Raises
    ------
    InvalidInput
        If the file is missing, damaged, or no speechgmm file.
    IncompatibleModel
        If it holds something else, or was written by a later version.

    Examples
    --------
    >>> import tempfile
    >>> import speechgmm
    >>> folder = tempfile.TemporaryDirectory()
    >>> speechgmm.default_system().save(f"{folder.name}/model.sgmm")
    >>> load_system(f"{folder.name}/model.sgmm").fingerprint == speechgmm.default_system().fingerprint
    True
    >>> folder.cleanup()
    """
    known = (System, MFCC, OwnFeatures, GMM, Ensemble, *COVARIANCES.values(), *TYPES, Familiarity)
    return cast(System, storage.load(path, *known, *types))
