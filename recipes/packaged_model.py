"""What the models that come with the package have in common: their readers, their making, and their check on others."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import strangers

import speechgmm
from speechgmm.evaluation import Interval

__all__ = ["DATA", "check", "train", "write"]

DATA = Path(__file__).resolve().parent / "identify_readers"
"""The recipe of the corpus: 124 background readers, and ten others."""
MODELS = Path(__file__).resolve().parent.parent / "speechgmm" / "models"
CREDIT = {
    "corpus": "LibriSpeech (train-clean-100), one utterance of each of 124 readers",
    "license": "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
    "attribution": "LibriSpeech (c) 2014 by Vassil Panayotov, Guoguo Chen, Daniel Povey and Sanjeev Khudanpur, "
    "https://www.openslr.org/12; subset chosen by resemble-ai/Resemblyzer",
    "changes": "the recordings themselves are not in this file, only a statistical model of them",
}


def train(manifest: Path, about: Mapping[str, str]) -> speechgmm.System:
    """Return the model of the background readers of a manifest, which says what it is."""
    system = speechgmm.train_system(speechgmm.read_corpus(manifest).where(split="ubm")).system
    return dataclasses.replace(system, info={"about": {**CREDIT, **about}, **system.info})


def check(system: speechgmm.System, manifest: Path, *, halves: int = strangers.HALVES) -> dict[float, Interval]:
    """Return how often a model accepts those of a manifest's test speakers who are not enrolled; `halves` are drawn."""
    corpus = speechgmm.read_corpus(manifest)
    enroll, test = (corpus.where(split=split).recordings for split in ("enroll", "test"))
    return strangers.false_accepts(system, enroll, test, drawn=halves)


def write(system: speechgmm.System, name: str) -> None:
    """Write a model to its place in the package."""
    path = MODELS / name
    system.save(path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
