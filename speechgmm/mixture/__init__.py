"""The mathematics of Gaussian mixtures: it knows nothing of speech, files or speakers.

`GMM` holds parameters, `Statistics` are what an E-step returns and can be added and scaled, `maximize` turns them
into a new mixture, `fit` runs EM over any model of this shape, `initialize` finds a start, `adapt` is MAP adaptation
and `fit_gmm` does the usual thing in one call.
"""

from speechgmm.mixture.adapt import RELEVANCE, adapt
from speechgmm.mixture.bayes import Prior, Variational, fit_bayes
from speechgmm.mixture.blocks import ArrayBlocks, WeightedBlock, sample_frames
from speechgmm.mixture.choose import Choice, FittedCandidate, choose, n_parameters
from speechgmm.mixture.covariance import Covariance, Diagonal, Full, Spherical, Tied
from speechgmm.mixture.em import Fit, Stop, StopRule, Update, fit
from speechgmm.mixture.ensemble import UBM, Ensemble
from speechgmm.mixture.initialize import initialize
from speechgmm.mixture.maximize import Floor, maximize, split
from speechgmm.mixture.missing import Incomplete, impute
from speechgmm.mixture.model import GMM, Sample
from speechgmm.mixture.online import StepwiseState, stepwise, stepwise_passes
from speechgmm.mixture.reduce import Reduction, merge, prune, reduce
from speechgmm.mixture.selection import Selection
from speechgmm.mixture.statistics import Statistics
from speechgmm.mixture.train import fit_gmm

__all__ = [
    "GMM",
    "RELEVANCE",
    "UBM",
    "ArrayBlocks",
    "Choice",
    "Covariance",
    "Diagonal",
    "Ensemble",
    "Fit",
    "FittedCandidate",
    "Floor",
    "Full",
    "Incomplete",
    "Prior",
    "Reduction",
    "Sample",
    "Selection",
    "Spherical",
    "Statistics",
    "StepwiseState",
    "Stop",
    "StopRule",
    "Tied",
    "Update",
    "Variational",
    "WeightedBlock",
    "adapt",
    "choose",
    "fit",
    "fit_bayes",
    "fit_gmm",
    "impute",
    "initialize",
    "maximize",
    "merge",
    "n_parameters",
    "prune",
    "reduce",
    "sample_frames",
    "split",
    "stepwise",
    "stepwise_passes",
]
