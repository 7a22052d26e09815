"""The benchmark of a store of very many people, in small: who is searched is found, also after others changed it."""

from __future__ import annotations

from pathlib import Path

import pytest

from speechgmm.speakers import SpeakerStore
from tests.recipes.test_recipes import RECIPES, script


@pytest.mark.parametrize("streams", [1, 2])
def test_a_store_is_made_goes_on_and_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streams: int) -> None:
    recipe = script(RECIPES / "benchmarks" / "large_store.py", monkeypatch)
    monkeypatch.setattr(recipe, "K", 4)
    for speakers in (6, 9):
        recipe.fill(tmp_path, speakers, streams)
    with SpeakerStore(tmp_path / "store.db") as store:
        assert store.speakers == tuple(f"person {i}" for i in range(9))
    told = recipe.search(tmp_path, 1, index=False)
    with SpeakerStore(tmp_path / "store.db") as store:
        assert len(store.speakers) == 9, "the guest has gone again"
        assert [entry.action for entry in store.audit()][-2:] == ["enroll", "remove"]
    assert told["first, s"] > told["of which made ready, s"] > 0
    assert {"scoring itself, s", "after one was enrolled, s", "after one was removed, s"} < told.keys()
    for module in ("following", "domain"):  # a domain of two hundred would be moved by whoever is enrolled
        monkeypatch.setattr(f"speechgmm.speakers.{module}.MOST", 2)
    monkeypatch.setattr("speechgmm.speakers.store_moment.content", lambda name, _: f"{name.startswith('guest')} {name}")
    recipe.write_index(tmp_path)
    told = recipe.search(tmp_path, 1, index=True)
    assert told["after one was enrolled, s"] > told["until it is ready, s"] > 0
    assert "scoring itself, s" not in told
    with SpeakerStore(tmp_path / "store.db") as store:
        assert len(store.speakers) == 9, "the guest has gone again"
