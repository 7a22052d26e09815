"""Mixtures and scorers from and to other programs: Kaldi, HTK, scikit-learn, ONNX and C.

`read_kaldi` and `write_kaldi`, `read_htk` and `write_htk` are for text files with one mixture; `read_mixture` tells
them by their content, and `imported_system` makes a model of speakers of what it read. `from_scikit_learn` and
`to_scikit_learn` move a fitted mixture between the libraries. `write_onnx` and `write_c_header` export whole scorers,
from frames to log-likelihood ratios or posteriors, for programs without Python; the front end is not in them.
"""

from speechgmm.interchange.c_header import write_c_header
from speechgmm.interchange.exported import ExportedScorer, LLRMap, exported_scorer
from speechgmm.interchange.htk import read_htk, write_htk
from speechgmm.interchange.kaldi import read_kaldi, write_kaldi
from speechgmm.interchange.mixture_files import ImportedMixture, imported_system, read_mixture
from speechgmm.interchange.onnx_graph import write_onnx
from speechgmm.interchange.scikit_learn import from_scikit_learn, to_scikit_learn

__all__ = [
    "ExportedScorer",
    "ImportedMixture",
    "LLRMap",
    "exported_scorer",
    "from_scikit_learn",
    "imported_system",
    "read_htk",
    "read_kaldi",
    "read_mixture",
    "to_scikit_learn",
    "write_c_header",
    "write_htk",
    "write_kaldi",
    "write_onnx",
]
