"""Speakers: training a System, enrolling, identifying, verifying, and scoring test lists.

`train_system` makes a `System`, `adapt_system` moves one to other microphones, `enroll` fills a `SpeakerStore`,
`identify` and `verify` answer, `score_corpus` and `score_trials` give the scores that `speechgmm.evaluation` measures.
"""

from typing import TYPE_CHECKING

from speechgmm.later import later
from speechgmm.speakers.enrolled import Enrolled, enrolled, enrolled_models

if TYPE_CHECKING:
    from speechgmm.speakers.adaptation import adapt_system
    from speechgmm.speakers.approximate import Deviation, deviation, linear_ratios, linear_ratios_of, top_ratios
    from speechgmm.speakers.calibration import ASSURED, SystemCalibration
    from speechgmm.speakers.checkpoints import remove_checkpoint
    from speechgmm.speakers.ciphers import read_key
    from speechgmm.speakers.costs import Cost, errors_by_speech
    from speechgmm.speakers.damage import DamagedSession, StoreCheck
    from speechgmm.speakers.enrollment import (
        Enrollment,
        LittleSpeech,
        UnfamiliarRecording,
        enroll,
        enroll_features,
        little_speech,
        unfamiliar_recordings,
    )
    from speechgmm.speakers.familiarity import Familiarity
    from speechgmm.speakers.identification import identify, verify
    from speechgmm.speakers.index import SpeakerIndex
    from speechgmm.speakers.models import SpeakerModels, adapted_model, speaker_models
    from speechgmm.speakers.notes import AuditEntry, SpeakerNote
    from speechgmm.speakers.packaged import PACKAGED, default_system, packaged_rate, packaged_with
    from speechgmm.speakers.score import ScoredTest, Scorer, log_likelihood_ratios
    from speechgmm.speakers.score_lists import ScoreList, score_corpus, score_trials
    from speechgmm.speakers.score_norm import s_norm, t_norm, z_norm, zt_norm
    from speechgmm.speakers.search import IndexScorer, Searched
    from speechgmm.speakers.sessions import (
        EnrolledRecording,
        RecordingSample,
        Session,
        SessionSummary,
        SpeakerExport,
        load_export,
    )
    from speechgmm.speakers.store import NOT_REACHED, SpeakerStore
    from speechgmm.speakers.store_domain import Domain
    from speechgmm.speakers.system import System, load_system
    from speechgmm.speakers.train import Training, train_system

__all__ = [
    "ASSURED",
    "NOT_REACHED",
    "PACKAGED",
    "AuditEntry",
    "Cost",
    "DamagedSession",
    "Deviation",
    "Domain",
    "Enrolled",
    "EnrolledRecording",
    "Enrollment",
    "Familiarity",
    "IndexScorer",
    "LittleSpeech",
    "RecordingSample",
    "ScoreList",
    "ScoredTest",
    "Scorer",
    "Searched",
    "Session",
    "SessionSummary",
    "SpeakerExport",
    "SpeakerIndex",
    "SpeakerModels",
    "SpeakerNote",
    "SpeakerStore",
    "StoreCheck",
    "System",
    "SystemCalibration",
    "Training",
    "UnfamiliarRecording",
    "adapt_system",
    "adapted_model",
    "default_system",
    "deviation",
    "enroll",
    "enroll_features",
    "enrolled",
    "enrolled_models",
    "errors_by_speech",
    "identify",
    "linear_ratios",
    "linear_ratios_of",
    "little_speech",
    "load_export",
    "load_system",
    "log_likelihood_ratios",
    "packaged_rate",
    "packaged_with",
    "read_key",
    "remove_checkpoint",
    "s_norm",
    "score_corpus",
    "score_trials",
    "speaker_models",
    "t_norm",
    "top_ratios",
    "train_system",
    "unfamiliar_recordings",
    "verify",
    "z_norm",
    "zt_norm",
]

__getattr__, __dir__ = later(
    __name__,
    {
        "adaptation": "adapt_system",
        "approximate": "Deviation deviation linear_ratios linear_ratios_of top_ratios",
        "calibration": "ASSURED SystemCalibration",
        "checkpoints": "remove_checkpoint",
        "ciphers": "read_key",
        "costs": "Cost errors_by_speech",
        "damage": "DamagedSession StoreCheck",
        "enrollment": "Enrollment LittleSpeech UnfamiliarRecording enroll "
        "enroll_features little_speech unfamiliar_recordings",
        "familiarity": "Familiarity",
        "identification": "identify verify",
        "index": "SpeakerIndex",
        "models": "SpeakerModels adapted_model speaker_models",
        "notes": "AuditEntry SpeakerNote",
        "packaged": "PACKAGED default_system packaged_rate packaged_with",
        "score": "ScoredTest Scorer log_likelihood_ratios",
        "score_lists": "ScoreList score_corpus score_trials",
        "score_norm": "s_norm t_norm z_norm zt_norm",
        "search": "IndexScorer Searched",
        "sessions": "EnrolledRecording RecordingSample Session SessionSummary SpeakerExport load_export",
        "store": "NOT_REACHED SpeakerStore",
        "store_domain": "Domain",
        "system": "System load_system",
        "train": "Training train_system",
    },
)
