"""Mixtures and whole scorers as ONNX graphs (opset 18), for whatever runs these; the front end is not in them.

A graph takes `frames` (N, D), float64, and gives `log_density` (N,) of a mixture or a background model; of speakers
`scores` (S,), the mean log-likelihood ratio against the background, in nats per frame, and where the store is
calibrated `llr` (S,), the calibrated log-likelihood ratio of one recording; of classes `scores` (S,), the mean log
densities, and where they are calibrated `log_posteriors` (S,).

All is computed in float64. Products in float32 move log densities of 256 components in 60 dimensions by up to 3e-4
nats, these by less than 1e-11 (`recipes/benchmarks/interchange.py`). Of independent features the square is expanded, so
that two matrix products and a ``ReduceLogSumExp`` do the work: with y = x - origin,

    log(w_k N(y; m_k, v_k)) = (y * y) @ (-1 / (2 v_k)) + y @ (m_k / v_k) + c_k

Where means lie so many deviations from the origin that this would lose digits, and for full matrices, frames are
whitened and the difference is taken before it is squared. What the graph is of stands in its metadata: `fingerprint`,
`frontend` (settings as JSON), `labels` (JSON), `symbols`.

Symbols: N frames, M models, K components, D features, S speakers or classes, C cohort.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from speechgmm import __version__
from speechgmm.checks import Array, extra, refuse
from speechgmm.files import Kind, replacing, starts_with
from speechgmm.interchange.exported import (
    Exportable,
    ExportedScorer,
    LLRMap,
    exported_scorer,
    log_constants,
    whitening,
)
from speechgmm.mixture import GMM
from speechgmm.mixture.covariance import Independent

OPSET = 18
"""The operator set: ``ReduceLogSumExp`` takes its axes as an input from here on."""
_IR = 8
"""The format of the file: the first that knows the operator set."""
_FAR = 1e7
"""Squared deviations from the origin up to which squares are expanded: float64 then keeps 1e-8 nats."""
_LARGEST = 1_900_000_000
"""Bytes of numbers at most: a file of ONNX holds 2 GB."""
GRAPH_FILE = Kind("a graph in ONNX that speechgmm wrote", starts_with(b"\x08\x08\x12\x09speechgmm"))


def write_onnx(thing: Exportable, path: str | os.PathLike[str]) -> ExportedScorer:
    """Write a mixture, a background model, enrolled speakers or classes as an ONNX graph.

    The graph holds all of (M, N, K) at once: a long recording of many speakers is given in blocks of frames, and their
    `scores` are averaged by how many frames they have; `llr` is of all frames of a recording together.

    Parameters
    ----------
    thing : GMM, Ensemble, System, Scorer or AudioClassifier
        Of a system its background model; of ``Scorer.of(system, store)`` the enrolled speakers; of a classifier its
        mixtures.
    path : path
        An existing file is replaced if it is such a graph.

    Returns
    -------
    ExportedScorer
        What was written.

    Raises
    ------
    MissingExtra
        If onnx is not installed.
    InvalidInput
        If it cannot be exported, takes more than 1.9 GB, or the file must not or cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from onnxruntime import InferenceSession
    >>> from speechgmm.mixture import GMM, Diagonal
    >>> gmm, x = GMM([0.5, 0.5], [[-1.0], [1.0]], Diagonal([[1.0], [4.0]])), np.array([[0.0], [2.0]])
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = write_onnx(gmm, f"{folder.name}/gmm.onnx")
    >>> (density,) = InferenceSession(f"{folder.name}/gmm.onnx").run(["log_density"], {"frames": x})
    >>> np.allclose(density, gmm.log_density(x))
    True
    >>> folder.cleanup()
    """
    onnx = extra("onnx", "onnx")
    exported = exported_scorer(thing)
    if (size := _bytes_of(exported)) > _LARGEST:
        found, advice = f"{size / 1e9:.1f} GB", "Export fewer speakers."
        refuse("a graph in ONNX", f"take at most {_LARGEST / 1e9:.1f} GB", found, advice)
    model = _model(onnx, exported)
    with replacing(path, GRAPH_FILE) as beside:
        Path(beside).write_bytes(model.SerializeToString(deterministic=True))
    return exported


def _bytes_of(exported: ExportedScorer) -> int:
    """Return about how many bytes the numbers of the models take."""
    every = [part for model in exported.models for part in model]
    return 8 * sum(p.means.size * (1 if p.covariance.independent else p.n_dimensions) for p in every)


def _model(onnx: Any, exported: ExportedScorer) -> Any:
    """Return the model: the graph, and what it is of."""
    helper, graph = onnx.helper, _Graph(onnx)
    found = _outputs(graph, exported)
    given = [helper.make_tensor_value_info("frames", graph.double, ["N", exported.n_dimensions])]
    shape = [len(exported.labels)] if exported.labels else ["N"]
    given_back = [helper.make_tensor_value_info(name, graph.double, shape) for name in found]
    for name, inner in found.items():
        graph.nodes.append(helper.make_node("Identity", [inner], [name]))
    made = helper.make_graph(graph.nodes, "speechgmm", given, given_back, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=_IR)
    model.producer_name, model.producer_version = "speechgmm", __version__
    facts = exported.facts | ({"labels": json.dumps(exported.labels)} if exported.labels else {})
    helper.set_model_props(model, dict(sorted(facts.items())))
    onnx.checker.check_model(model)
    return model


class _Graph:
    """Nodes and constants of a graph that grows; every value has a name of its own."""

    def __init__(self, onnx: Any) -> None:
        self._onnx, self.double = onnx, onnx.TensorProto.DOUBLE
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        """Return the name of an array: whole numbers as int64, all others as float64."""
        a = np.asarray(values)
        name = f"c{len(self.constants)}"
        held = np.ascontiguousarray(a, dtype=np.int64 if a.dtype.kind == "i" else np.float64)
        self.constants.append(self._onnx.numpy_helper.from_array(held.reshape(a.shape), name))
        return name

    def node(self, kind: str, *inputs: "str | Array | float | list[int]", **attributes: Any) -> str:
        """Return the name of what a node gives; inputs that are no names become constants."""
        name = f"n{len(self.nodes)}"
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self.nodes.append(self._onnx.helper.make_node(kind, names, [name], **attributes))
        return name


def _outputs(graph: _Graph, exported: ExportedScorer) -> dict[str, str]:
    """Return the names of what comes out, by what it is."""
    every = _log_densities(graph, exported)
    if not exported.labels:
        return {"log_density": graph.node("Squeeze", every, [0])}
    means = graph.node("ReduceMean", every, [1], keepdims=0)
    if not exported.background:
        found = {"scores": means}
        if exported.posterior is not None:
            scale, offsets = exported.posterior
            scaled = graph.node("Add", graph.node("Mul", means, scale), offsets)
            found["log_posteriors"] = graph.node("LogSoftmax", scaled, axis=0)
        return found
    s = len(exported.labels)
    others = graph.node("Slice", means, [1], [len(exported.models)], [0])
    ratios = graph.node("Sub", others, graph.node("Slice", means, [0], [1], [0]))
    scores = graph.node("Slice", ratios, [0], [s], [0])
    if exported.llr is None:
        return {"scores": scores}
    cohort = graph.node("Slice", ratios, [s], [s + exported.llr.cohort], [0]) if exported.llr.cohort else ""
    return {"scores": scores, "llr": _llr(graph, scores, cohort, exported.llr)}


def _llr(graph: _Graph, scores: str, cohort: str, m: LLRMap) -> str:
    """Return the name of the calibrated LLRs: see `LLRMap`."""
    frames = graph.node("Cast", graph.node("Shape", "frames", start=0, end=1), to=graph.double)
    seconds = graph.node("Mul", frames, m.hop_length)
    u = graph.node("Log", graph.node("Min", graph.node("Max", seconds, m.low), m.high))

    def by_tested(weights: Array) -> str:
        return graph.node("Add", graph.node("Mul", u, weights[:, 1]), weights[:, 0])

    z, location = scores, by_tested(m.location)
    if cohort:
        center = graph.node("ReduceMean", cohort, [0], keepdims=1)
        off = graph.node("Sub", cohort, center)
        variance = graph.node("ReduceMean", graph.node("Mul", off, off), [0], keepdims=1)
        deviation = graph.node("Sqrt", variance)
        z = graph.node("Div", graph.node("Sub", z, center), deviation)
        level = graph.node("Div", center, deviation)
        location = graph.node("Add", location, graph.node("Mul", by_tested(m.proportion), level))
    alike = graph.node("Div", graph.node("Sub", z, location), graph.node("Exp", by_tested(m.scale)))
    return graph.node("Add", graph.node("Mul", alike, m.slope), m.offset)


def _log_densities(graph: _Graph, exported: ExportedScorer) -> str:
    """Return the name of the log densities (M, N) of all models."""
    total = ""
    for p, (column, share) in enumerate(zip(exported.columns, exported.shares.tolist(), strict=True)):
        parts = [model[p] for model in exported.models]
        d = parts[0].n_dimensions
        whole = d == exported.n_dimensions
        x = "frames" if whole else graph.node("Slice", "frames", [column], [column + d], [1])
        found = _bank(graph, x, parts)
        weighted = found if len(exported.columns) == 1 else graph.node("Mul", found, share)
        total = weighted if not total else graph.node("Add", total, weighted)
    return total


def _bank(graph: _Graph, x: str, parts: list[GMM]) -> str:
    """Return the name of the log densities (M, N) of frames under mixtures: those that are alike in one product."""
    first, rows = parts[0], list[str]()
    for group in [parts] if all(_alike(first, p) for p in parts) else [[p] for p in parts]:
        y = graph.node("Sub", x, group[0].origin)
        if _near(group):
            rows.append(_expanded(graph, y, group))
        else:
            rows += [_whitened(graph, y, p) for p in group]
    return rows[0] if len(rows) == 1 else graph.node("Concat", *rows, axis=0)


def _alike(a: GMM, b: GMM) -> bool:
    """Return whether two mixtures differ in their means alone."""
    held = a.covariance is b.covariance and a.means.shape == b.means.shape
    return held and np.array_equal(a.weights, b.weights) and np.array_equal(a.origin, b.origin)


def _near(parts: list[GMM]) -> bool:
    """Return whether features are independent, and means so near to the origin that squares may be expanded."""
    if not isinstance(parts[0].covariance, Independent):
        return False
    deviations = np.broadcast_to(parts[0].covariance.deviations(), parts[0].means.shape)
    far = np.max([np.abs(p.offsets).max(axis=0) for p in parts], axis=0) + 10 * deviations.max(axis=0)
    return bool(((far / deviations) ** 2).sum(axis=1).max() < _FAR)


def _expanded(graph: _Graph, y: str, parts: list[GMM]) -> str:
    """Return the name of the log densities (M, N) of mixtures that differ in their means alone."""
    first = parts[0]
    assert isinstance(first.covariance, Independent)
    variances = first.covariance.variances_of(*first.means.shape)
    offsets = np.stack([p.offsets for p in parts])
    linear = (offsets / variances).swapaxes(1, 2)
    constant = log_constants(first) - 0.5 * (offsets**2 / variances).sum(axis=2)
    square = graph.node("MatMul", graph.node("Mul", y, y), np.ascontiguousarray(-0.5 / variances.T)[None])
    joint = graph.node("Add", graph.node("MatMul", y, np.ascontiguousarray(linear)), constant[:, None])
    return graph.node("ReduceLogSumExp", graph.node("Add", joint, square), [2], keepdims=0)


def _whitened(graph: _Graph, y: str, part: GMM) -> str:
    """Return the name of the log densities (1, N) of a mixture, whose components whiten the frames."""
    if isinstance(part.covariance, Independent):
        scale = 1 / np.sqrt(part.covariance.variances_of(*part.means.shape))
        whitened, centers = graph.node("Mul", y, scale[:, None]), part.offsets * scale
    else:
        turned = whitening(part)  # one, or one for each component
        whitened = graph.node("MatMul", y, turned)
        centers = (part.offsets[:, None] @ turned)[:, 0]
    off = graph.node("Sub", whitened, centers[:, None])
    square = graph.node("ReduceSum", graph.node("Mul", off, off), [2], keepdims=0)
    joint = graph.node("Add", graph.node("Mul", square, -0.5), log_constants(part)[:, None])
    return graph.node("ReduceLogSumExp", joint, [0], keepdims=1)
