"""Hypothesis profiles, and which tests are about numbers.

Hypothesis tries the same examples on every run; `--hypothesis-profile explore` looks for new ones.
"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "same", deadline=None, derandomize=True, database=None, max_examples=40, suppress_health_check=_SLOW
)
settings.register_profile("explore", deadline=None, database=None, max_examples=400, suppress_health_check=_SLOW)
settings.load_profile("same")

NUMERIC = tuple(
    Path(__file__).parent / place
    for place in (
        "mixture",
        "tracking",
        "classification/test_calibration.py",
        "estimators/test_additions.py",
        "estimators/test_bayesian.py",
        "estimators/test_gmm_classifier.py",
        "estimators/test_mfcc_transformer.py",
        "estimators/test_parity.py",
        "evaluation/test_calibration.py",
        "evaluation/test_fusion.py",
        "features/test_conventions.py",
        "features/test_dynamics.py",
        "features/test_mfcc.py",
        "features/test_speech_detection.py",
        "speakers/test_approximate.py",
        "speakers/test_domain.py",
        "speakers/test_score.py",
        "speakers/test_score_norm.py",
        "speakers/test_system.py",
    )
)
"""Tests that compare numbers to small tolerances or bits: .ci/kernels.py repeats them."""
assert all(place.exists() for place in NUMERIC), [p for p in NUMERIC if not p.exists()]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With ``-m numeric``, do not import the other tests."""
    if config.option.markexpr != "numeric":
        return None
    near = any(p.is_relative_to(collection_path) or collection_path.is_relative_to(p) for p in NUMERIC)
    return None if near else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests about numbers."""
    for item in items:
        if any(item.path.is_relative_to(place) for place in NUMERIC):
            item.add_marker(pytest.mark.numeric)
