"""Hypothesis profiles: the same examples on every run; `--hypothesis-profile explore` looks for new ones."""

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "same", deadline=None, derandomize=True, database=None, max_examples=40, suppress_health_check=_SLOW
)
settings.register_profile("explore", deadline=None, database=None, max_examples=400, suppress_health_check=_SLOW)
settings.load_profile("same")
