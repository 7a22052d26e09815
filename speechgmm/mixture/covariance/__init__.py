"""How frames spread around the means of the components: one protocol, and the kinds that meet it.

A new kind is one new file. `Independent` and `Correlated` are the bases to begin from: a covariance of independent
features has only to say how variances are pooled, one of correlated features how moments are. Wherever a kind is
chosen, such as in `fit_gmm`, the class itself may stand in place of a name.
"""

from speechgmm.checks import choice
from speechgmm.mixture.covariance.correlated import Correlated, Full, Tied
from speechgmm.mixture.covariance.independent import Diagonal, Independent, Spherical
from speechgmm.mixture.covariance.protocol import Covariance, IncompleteFrames

__all__ = [
    "COVARIANCES",
    "Correlated",
    "Covariance",
    "Diagonal",
    "Full",
    "IncompleteFrames",
    "Independent",
    "Spherical",
    "Tied",
    "covariance_type",
]

COVARIANCES: dict[str, type[Covariance]] = {"diag": Diagonal, "spherical": Spherical, "tied": Tied, "full": Full}
"""The names of the kinds of covariances: the one place where text chooses between them."""


def covariance_type(kind: str | type[Covariance], what: str = "covariance") -> type[Covariance]:
    """Return the class of a kind that is given by name or as the class itself; `what` names it in messages.

    Examples
    --------
    >>> covariance_type("diag") is covariance_type(Diagonal) is Diagonal
    True
    """
    if isinstance(kind, type) and issubclass(kind, Covariance):
        return kind
    return COVARIANCES[choice(kind, what, COVARIANCES)]
