"""How good a system is: lists of trials, their scores, and the numbers that sum them up.

A *trial* asks whether a test recording is spoken by an enrolled speaker; its label is 1 (target), 0 (nontarget) or
-1 (not known). `trials` reads and writes lists of trials and tables of scores, and joins the two. `metrics` turns
labeled scores into error rates, detection costs and information losses. Nothing here knows of sound or of mixtures:
the scores of any other system are evaluated in the same way.
"""

from speechgmm.evaluation.confusion import ConfusionMatrix, confusion_matrix
from speechgmm.evaluation.metrics import (
    Evaluation,
    Hull,
    Roc,
    actual_dcf,
    cllr,
    eer,
    evaluate,
    identification_rate,
    min_cllr,
    min_dcf,
    roc_hull,
    roc_points,
)
from speechgmm.evaluation.trials import (
    Scores,
    Trials,
    join,
    read_scores,
    read_trials,
    write_scores,
    write_trials,
)

__all__ = [
    "ConfusionMatrix",
    "Evaluation",
    "Hull",
    "Roc",
    "Scores",
    "Trials",
    "actual_dcf",
    "cllr",
    "confusion_matrix",
    "eer",
    "evaluate",
    "identification_rate",
    "join",
    "min_cllr",
    "min_dcf",
    "read_scores",
    "read_trials",
    "roc_hull",
    "roc_points",
    "write_scores",
    "write_trials",
]
