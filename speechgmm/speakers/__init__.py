"""Speakers: training a System, enrolling, identifying, verifying, and scoring test lists.

`train_system` makes a `System`, `enroll` fills a `SpeakerStore`, `identify` and `verify` answer, `score_corpus` and
`score_trials` give the scores that `speechgmm.evaluation` measures.
"""

from speechgmm.speakers.approximate import Deviation, deviation, linear_ratios, linear_ratios_of, top_ratios
from speechgmm.speakers.decision import Decision, Rule, SystemCalibration, decide
from speechgmm.speakers.enrollment import Enrollment, enroll, enroll_features
from speechgmm.speakers.identification import Candidate, Identification, Verification, identify, verify
from speechgmm.speakers.score import (
    SpeakerModels,
    adapted_model,
    enrolled_models,
    log_likelihood_ratios,
    speaker_models,
)
from speechgmm.speakers.score_lists import Scored, score_corpus, score_trials
from speechgmm.speakers.sessions import Export, Held, Session
from speechgmm.speakers.store import SpeakerStore
from speechgmm.speakers.system import System, default_system, load_system
from speechgmm.speakers.train import Training, train_system

__all__ = [
    "Candidate",
    "Decision",
    "Deviation",
    "Enrollment",
    "Export",
    "Held",
    "Identification",
    "Rule",
    "Scored",
    "Session",
    "SpeakerModels",
    "SpeakerStore",
    "System",
    "SystemCalibration",
    "Training",
    "Verification",
    "adapted_model",
    "decide",
    "default_system",
    "deviation",
    "enroll",
    "enroll_features",
    "enrolled_models",
    "identify",
    "linear_ratios",
    "linear_ratios_of",
    "load_system",
    "log_likelihood_ratios",
    "score_corpus",
    "score_trials",
    "speaker_models",
    "top_ratios",
    "train_system",
    "verify",
]
