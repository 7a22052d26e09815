"""Figures without a display, closed after each test."""

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def closed():
    """Close all figures."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")
