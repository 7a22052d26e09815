"""How good a system is: lists of trials, their scores, and the numbers that sum them up.

A *trial* asks whether a test recording is spoken by an enrolled speaker; its label is 1 (target), 0 (nontarget) or
-1 (not known). `trials` holds lists of trials and tables of scores and joins the two, `score_files` reads and writes
them. `metrics` turns labeled scores into error rates, detection costs and information losses, `identification` into
rates of searches, `jackknife` says how far to trust these, and `evaluate` does all of it. `calibrate_scores` learns
from scores what they are worth, and from where on to accept. Nothing here knows of sound or of mixtures: the scores of
any other system are evaluated in the same way.
"""

from typing import TYPE_CHECKING

from speechgmm.evaluation.llr_bounds import LlrBounds, llr_bounds
from speechgmm.later import later

if TYPE_CHECKING:
    from speechgmm.evaluation.answers import Answers
    from speechgmm.evaluation.attacks import AttackCondition, AttackErrors, AttackTradeOff, SpeciesRate
    from speechgmm.evaluation.calibration import Calibration, bayes_threshold, fit_calibration, posteriors
    from speechgmm.evaluation.chosen_trials import bona_fide, join
    from speechgmm.evaluation.conditions import Condition
    from speechgmm.evaluation.confusion import ConfusionMatrix, confusion_matrix
    from speechgmm.evaluation.decision import Answer, Candidate, Rule, decide, threshold_for
    from speechgmm.evaluation.duration import DurationBin, error_by_duration
    from speechgmm.evaluation.evaluated import Evaluation
    from speechgmm.evaluation.false_accepts import FalseAccepts
    from speechgmm.evaluation.fusion import Fusion, fit_fusion
    from speechgmm.evaluation.identification import (
        OpenSet,
        closed_set_confusion,
        cmc,
        identification_rate,
        open_set_rate,
    )
    from speechgmm.evaluation.intervals import Interval, accuracy, bootstrap, wilson
    from speechgmm.evaluation.learn_calibration import calibrate_scores
    from speechgmm.evaluation.metrics import NIST, actual_dcf, cllr, eer, min_cllr, min_dcf
    from speechgmm.evaluation.roc import Application, Hull, Roc, det_points, roc_hull, roc_points
    from speechgmm.evaluation.score_files import SCORES, TRIALS, read_scores, read_trials, write_scores, write_trials
    from speechgmm.evaluation.summary import evaluate
    from speechgmm.evaluation.table_calibration import HeldOutRates, TableCalibration, load_calibration
    from speechgmm.evaluation.threshold_errors import FailureCounts, ThresholdErrors
    from speechgmm.evaluation.thresholds import Strangers, Threshold, fit_strangers
    from speechgmm.evaluation.trials import Failures, Scores, Trials

__all__ = [
    "NIST",
    "SCORES",
    "TRIALS",
    "Answer",
    "Answers",
    "Application",
    "AttackCondition",
    "AttackErrors",
    "AttackTradeOff",
    "Calibration",
    "Candidate",
    "Condition",
    "ConfusionMatrix",
    "DurationBin",
    "Evaluation",
    "FailureCounts",
    "Failures",
    "FalseAccepts",
    "Fusion",
    "HeldOutRates",
    "Hull",
    "Interval",
    "LlrBounds",
    "OpenSet",
    "Roc",
    "Rule",
    "Scores",
    "SpeciesRate",
    "Strangers",
    "TableCalibration",
    "Threshold",
    "ThresholdErrors",
    "Trials",
    "accuracy",
    "actual_dcf",
    "bayes_threshold",
    "bona_fide",
    "bootstrap",
    "calibrate_scores",
    "cllr",
    "closed_set_confusion",
    "cmc",
    "confusion_matrix",
    "decide",
    "det_points",
    "eer",
    "error_by_duration",
    "evaluate",
    "fit_calibration",
    "fit_fusion",
    "fit_strangers",
    "identification_rate",
    "join",
    "llr_bounds",
    "load_calibration",
    "min_cllr",
    "min_dcf",
    "open_set_rate",
    "posteriors",
    "read_scores",
    "read_trials",
    "roc_hull",
    "roc_points",
    "threshold_for",
    "wilson",
    "write_scores",
    "write_trials",
]

__getattr__, __dir__ = later(
    __name__,
    {
        "answers": "Answers",
        "attacks": "AttackCondition AttackErrors AttackTradeOff SpeciesRate",
        "calibration": "Calibration bayes_threshold fit_calibration posteriors",
        "chosen_trials": "bona_fide join",
        "conditions": "Condition",
        "confusion": "ConfusionMatrix confusion_matrix",
        "decision": "Answer Candidate Rule decide threshold_for",
        "duration": "DurationBin error_by_duration",
        "evaluated": "Evaluation",
        "false_accepts": "FalseAccepts",
        "fusion": "Fusion fit_fusion",
        "identification": "OpenSet closed_set_confusion cmc identification_rate open_set_rate",
        "intervals": "Interval accuracy bootstrap wilson",
        "learn_calibration": "calibrate_scores",
        "metrics": "NIST actual_dcf cllr eer min_cllr min_dcf",
        "roc": "Application Hull Roc det_points roc_hull roc_points",
        "score_files": "SCORES TRIALS read_scores read_trials write_scores write_trials",
        "summary": "evaluate",
        "table_calibration": "HeldOutRates TableCalibration load_calibration",
        "threshold_errors": "FailureCounts ThresholdErrors",
        "thresholds": "Strangers Threshold fit_strangers",
        "trials": "Failures Scores Trials",
    },
)
