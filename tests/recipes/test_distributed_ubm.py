"""The recipe of a background model on a cluster: the same bytes from threads and from workers, one of them killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.recipes.test_recipes import RECIPES, SIZES, benchmark, manifest_of, part_of, script

pytest.importorskip("distributed", reason="Dask is not installed: speechgmm[dask]")


@pytest.mark.corpora
@pytest.mark.parametrize("size", SIZES)
def test_the_same_bytes_from_threads_and_from_workers(
    size: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    module = script(RECIPES / "distributed_ubm" / "run.py", monkeypatch)
    few = size == "small"
    readers = "librispeech_mini"
    manifest = part_of(readers, lambda r: r["speaker"].endswith("0"), tmp_path) if few else manifest_of(readers)
    found = module.run(manifest, components=[4] if few else module.COMPONENTS, output=tmp_path / "model")
    assert list(found) == ["threads", "workers", "workers, one is killed"]
    assert all(result.same for result in found.values())
    assert len({result.objective for result in found.values()}) == 1
    assert (tmp_path / "model").stat().st_size > 1000
    module.show(found)
    assert "the same bytes" in capsys.readouterr().out


def test_the_benchmark_of_a_cluster_compares_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("cluster", monkeypatch)
    x = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    found = module.compare(x, 2, 1, 1, 2)
    assert found["of"] == "2 components, 5000 frames in 2 blocks"
    assert list(found["seconds"]) == ["one thread", "two threads", "one worker", "two workers"]
    assert found["the same bits"]
