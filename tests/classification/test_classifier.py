"""AudioClassifier: from files to labels, posteriors and rejections; what it survives and what it refuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import speechgmm
from speechgmm import storage
from speechgmm.classification import (
    AudioClassifier,
    ClassifierTraining,
    MixtureSettings,
    cross_validate,
    evaluate_classifier,
    label_of,
    load_classifier,
    train_classifier,
)
from speechgmm.classification.calibration import file_scores
from speechgmm.classification.mixtures import class_log_densities
from speechgmm.classification.train import text_columns
from speechgmm.errors import AudioError, IncompatibleModel, InvalidInput, SpeechGMMWarning, TooLittleSpeech
from speechgmm.evaluation.decision import Rule
from speechgmm.features import MFCC, Signal, preset, read_corpus
from speechgmm.features.spool import FRAMES, Spool
from tests.kinds import KINDS, files, sound
from tests.sounds import cut, write

SETTINGS = MixtureSettings(n_components=4, relevance=4.0, max_iterations=2)
TRAIN, TEST = range(8), range(8, 12)


@pytest.fixture(scope="module")
def trained(kinds: Path) -> ClassifierTraining:
    return train_classifier(*files(kinds, TRAIN), frontend="sound", settings=SETTINGS, folds=4)


@pytest.fixture(scope="module")
def made(trained: ClassifierTraining) -> AudioClassifier:
    return trained.classifier


def test_files_in_labels_and_posteriors_out(made: AudioClassifier, kinds: Path) -> None:
    assert made.labels == KINDS
    paths, truth = files(kinds, TEST)
    assert list(made.predict(paths)) == truth
    posteriors = made.predict_proba(paths)
    np.testing.assert_allclose(posteriors.sum(axis=1), 1.0)
    assert [KINDS[i] for i in posteriors.argmax(axis=1)] == truth
    answer = made.classify(paths[:1])[0]
    assert (answer.name, answer.status, answer.decision, answer.error) == (paths[0], "accepted", truth[0], None)
    assert answer.candidates[0].name == truth[0]
    assert sum(c.posterior or 0 for c in answer.candidates) == pytest.approx(1.0)
    assert answer.speech_seconds == pytest.approx(0.48, abs=0.03)


def test_paths_signals_samples_and_recordings_are_the_same(made: AudioClassifier, kinds: Path) -> None:
    path = kinds / "tone" / "09.wav"
    signal = speechgmm.features.read(path)
    recording = next(r for r in read_corpus(kinds) if r.path == str(path))
    answers = made.classify([path, signal, signal.samples, recording])
    assert len({a.candidates for a in answers}) == 1
    assert [a.name for a in answers] == [str(path), "sound 1", "sound 2", "tone/09.wav"]


def test_saved_and_loaded_gives_the_same_bits(made: AudioClassifier, kinds: Path, tmp_path: Path) -> None:
    made.save(tmp_path / "m.sgmm")
    loaded = load_classifier(tmp_path / "m.sgmm")
    paths, _ = files(kinds, TEST)
    assert loaded.classify(paths, rule=Rule(far=0.2)) == made.classify(paths, rule=Rule(far=0.2))
    assert loaded.fingerprint == made.fingerprint
    assert loaded.summary() == made.summary()
    assert storage.dumps(loaded) == storage.dumps(made)
    assert storage.read_header(tmp_path / "m.sgmm")["fields"]["labels"] == list(KINDS)


def test_order_of_files_and_threads_do_not_matter(made: AudioClassifier, kinds: Path) -> None:
    paths, labels = files(kinds, TRAIN)
    order = np.random.default_rng(0).permutation(len(paths))
    other = train_classifier(
        [paths[i] for i in order], [labels[i] for i in order], frontend="sound", settings=SETTINGS, folds=4
    ).classifier
    tests, _ = files(kinds, TEST)
    np.testing.assert_allclose(other.predict_proba(tests), made.predict_proba(tests), atol=1e-4)
    one = train_classifier(paths, labels, frontend="sound", settings=SETTINGS, folds=4, n_threads=1).classifier
    assert one.fingerprint == made.fingerprint
    assert one.predict_proba(tests).tobytes() == made.predict_proba(tests).tobytes()


def test_a_file_score_is_the_mean_over_its_frames(made: AudioClassifier, kinds: Path) -> None:
    x = made.frontend.from_file(kinds / "noise" / "08.wav")
    made = dataclasses.replace(made, machine=None, rejection=None)
    whole = made.scores(x).classes[0]
    parts = made.scores(x[:7]).classes[0] * 7 + made.scores(x[7:]).classes[0] * (len(x) - 7)
    np.testing.assert_allclose(parts / len(x), whole, rtol=1e-6)


def test_foreign_sounds_are_rejected_at_a_stated_rate(kinds: Path) -> None:
    names = KINDS[1:]
    made = train_classifier(*files(kinds, TRAIN, names), frontend="sound", settings=SETTINGS, folds=4).classifier
    assert made.rejection is not None
    paths, truth = files(kinds, TEST, names)
    known = made.predict(paths, rule=Rule(far=0.1))
    assert sum(k == t for k, t in zip(known, truth, strict=True)) >= 11
    foreign = [Signal(sound("chirp", i), 8000) for i in range(12)]
    answers = made.classify(foreign, rule=Rule(far=0.1))
    assert {a.status for a in answers} <= {"accepted", "unknown"}
    assert sum(a.status == "unknown" for a in answers) >= 9
    assert all(a.decision is None for a in answers if a.status == "unknown")
    r = made.rejection
    rates = [(r.foreign >= r.threshold(far)).mean() for far in (1e-6, 0.25, 0.5, 1 - 1e-6)]
    np.testing.assert_allclose(rates, [0.0, 0.25, 0.5, 1.0], atol=1 / len(r.foreign))
    assert r.kept(1 - 1e-6) >= r.kept(0.1) >= r.kept(1e-6)
    assert {a.threshold for a in answers} == {r.threshold(0.1)}
    values = [r.values(made.scores(made.frontend.from_file(p)).evidence)[0] for p in paths]
    assert [value >= r.threshold(0.1) for value in values] == [name is not None for name in known]
    usual, stated = (made.classify(paths, rule=rule) for rule in (Rule(), Rule(far=0.05)))
    assert [(a.status, a.threshold) for a in usual] == [(a.status, a.threshold) for a in stated]
    for far in (0, 1, 1.5):
        with pytest.raises(InvalidInput, match="far must be"):
            made.classify(paths, rule=Rule(far=far))
    for rule in (Rule(prior=0.5), Rule(threshold=0.0)):
        with pytest.raises(InvalidInput, match="the rule of a classifier must be a rate of foreign sounds; got Rule"):
            made.classify(paths, rule=rule)


def test_two_classes_cannot_tell_what_is_foreign(kinds: Path) -> None:
    two = train_classifier(*files(kinds, TRAIN, KINDS[:2]), frontend="sound", settings=SETTINGS, folds=2).classifier
    assert two.calibration is not None
    with pytest.raises(InvalidInput, match="know three classes or more to reject foreign sounds; got 2 classes"):
        two.classify(files(kinds, TEST)[0], rule=Rule(far=0.1))


def test_without_folds_sounds_are_ranked(kinds: Path) -> None:
    made = train_classifier(*files(kinds, TRAIN), frontend="sound", settings=SETTINGS, folds=0).classifier
    answer = made.classify(files(kinds, TEST)[0][:1])[0]
    assert (answer.status, label_of(answer), answer.candidates[0].posterior) == ("ranked", "chirp", None)
    with pytest.raises(InvalidInput, match="a classifier must be calibrated for posteriors"):
        made.predict_proba(files(kinds, TEST)[0])
    with pytest.raises(InvalidInput, match="got one that held nothing out: too few sounds, or folds=0"):
        made.predict(files(kinds, TEST)[0], rule=Rule(far=0.1))


def test_one_bad_file_does_not_lose_the_others(kinds: Path, tmp_path: Path) -> None:
    paths, labels = files(kinds, TRAIN)
    corrupt = cut(write(tmp_path / "cut.flac", sound("tone", 0), 8000), 0.4)
    low = write(tmp_path / "low.wav", sound("tone", 0, 4000), 4000)
    front = preset("sound", 8000)
    training = train_classifier(
        [*paths, corrupt, low, tmp_path / "no.wav"],
        [*labels, "tone", "tone", "tone"],
        frontend=front,
        settings=SETTINGS,
        folds=0,
    )
    names = [Path(s.name).name for s in training.skipped]
    assert names == ["cut.flac", "low.wav", "no.wav"]
    assert "at least the model's rate of 8000 Hz; got 4000 Hz" in training.skipped[1].reason
    answers = training.classifier.classify([corrupt, paths[0], write(tmp_path / "s.wav", np.zeros(80), 8000)])
    assert [a.status for a in answers] == ["error", "ranked", "too_little_speech"]
    assert [label_of(a) for a in answers] == [None, "chirp", None]
    with pytest.raises(AudioError, match=r"cut\.flac"):
        training.classifier.predict([paths[0], corrupt])
    with pytest.raises(TooLittleSpeech):
        training.classifier.predict([tmp_path / "s.wav"])


def test_mixed_rates_meet_at_the_lowest(kinds: Path, tmp_path: Path) -> None:
    paths, labels = files(kinds, TRAIN, KINDS[2:])
    paths += [str(write(tmp_path / f"{k}.wav", sound(k, 20, 48000), 48000)) for k in KINDS[2:]]
    with pytest.warns(SpeechGMMWarning, match="rates are mixed: 8000 Hz 16; 48000 Hz 2 "):
        made = train_classifier(paths, [*labels, *KINDS[2:]], frontend="sound", settings=SETTINGS, folds=0).classifier
    assert made.frontend == preset("sound", 8000)
    assert made.predict([Signal(sound("tone", 21, 44100), 44100)]) == ("tone",)


def test_a_rate_too_low_for_speech_is_left_out(kinds: Path, tmp_path: Path) -> None:
    paths, labels = files(kinds, TRAIN, KINDS[2:])
    low = write(tmp_path / "low.wav", sound("tone", 0, 4000), 4000)
    for slow in (low, Signal(sound("tone", 0, 4000), 4000)):
        with pytest.warns(SpeechGMMWarning, match=r"mixed: 4000 Hz 1 .*; 8000 Hz 16\. .* and lower ones are left out"):
            training = train_classifier([*paths, slow], [*labels, "tone"], frontend="sound", settings=SETTINGS, folds=0)
        assert training.classifier.frontend == preset("sound", 8000)
        assert len(training.skipped) == 1
        assert "at least the model's rate of 8000 Hz; got 4000 Hz" in training.skipped[0].reason
    with pytest.raises(InvalidInput, match="sample_rate must be at least 8000 and at most 48000; got 4000"):
        train_classifier([low, low], ["a", "b"], frontend="sound")


def test_classes_need_two_names_and_a_usable_sound_each(kinds: Path, tmp_path: Path) -> None:
    paths, labels = files(kinds, TRAIN)
    with pytest.raises(InvalidInput, match="labels must name at least two classes; got only 'chirp'"):
        train_classifier(paths[:8], labels[:8], frontend="sound")
    short = write(tmp_path / "short.wav", sound("tone", 0, seconds=0.02), 8000)
    with pytest.raises(InvalidInput, match=r"every class must have at least one usable sound; got none for 'beep'; .*"):
        train_classifier([*paths, short], [*labels, "beep"], frontend="sound", settings=SETTINGS)


def test_a_class_of_one_short_file_is_trained_and_doubted(kinds: Path, tmp_path: Path) -> None:
    paths, labels = files(kinds, TRAIN, KINDS[:3])
    front = dataclasses.replace(preset("sound", 8000), win_length=0.02, hop_length=0.01, min_speech=0.0)
    beep = write(tmp_path / "beep.wav", sound("tone", 0, seconds=0.02), 8000)
    training = train_classifier([*paths, beep], [*labels, "beep"], frontend=front, settings=SETTINGS, folds=3)
    assert "too few sounds: 1 of 'beep'; give ten or more of each class" in training.warnings
    assert training.classifier.calibration is not None
    assert training.classifier.predict([beep]) == ("beep",)
    alone = dataclasses.replace(SETTINGS, relevance=None)
    training = train_classifier([*paths, beep], [*labels, "beep"], frontend=front, settings=alone, folds=0)
    assert "'beep' has too few frames for 4 components: 1" in training.warnings


def test_progress_tells_each_stage(kinds: Path) -> None:
    paths, labels = files(kinds, range(4))
    seen: list[tuple[str, int, int]] = []
    train_classifier(
        paths, labels, frontend="sound", settings=SETTINGS, folds=2, on_progress=lambda *news: seen.append(news)
    )
    parts = {"features": 16, "mixtures": 1, "calibration": 2, "rejection": 3}
    assert seen == [(stage, done, total) for stage, total in parts.items() for done in range(1, total + 1)]


def test_nothing_to_hold_out_means_no_posteriors(kinds: Path) -> None:
    paths, labels = files(kinds, range(1))
    more = [*paths, str(kinds / "tone" / "01.wav")]  # one class alone could be held out
    for sounds, names in ((paths, labels), (more, [*labels, "tone"])):
        training = train_classifier(sounds, names, frontend="sound", settings=SETTINGS)
        assert training.classifier.calibration is None
        doubt = "fewer than two classes have two sounds or groups to hold out in turn: posteriors are not known"
        assert doubt in training.warnings


def test_evaluation_counts_and_refuses_unknown_labels(made: AudioClassifier, kinds: Path) -> None:
    paths, truth = files(kinds, TEST)
    found = evaluate_classifier(made, paths, truth)
    assert found.accuracy.estimate == 1.0
    assert found.confusion.counts.tolist() == (4 * np.eye(4, dtype=int)).tolist()
    assert found.as_dict()["groups"] is None
    assert 0 <= found.cross_entropy < 0.5
    wrong = evaluate_classifier(made, paths, truth[::-1], groups=[f"g{i % 5}" for i in range(16)])
    assert wrong.accuracy.estimate == 0.0
    every = evaluate_classifier(made, paths, truth, rule=Rule(far=1e-6))
    assert set(every.decisions) <= {*KINDS, "(unknown)"}
    with pytest.raises(InvalidInput, match=r"labels must be among those of the classifier: chirp, .*; got 'hum'"):
        evaluate_classifier(made, paths, [*truth[1:], "hum"])
    with pytest.raises(InvalidInput, match="labels must be 16 texts, one for each sound; got 3"):
        evaluate_classifier(made, paths, truth[:3])
    with pytest.raises(InvalidInput, match="sounds must be at least one that can be used; got none of 1; the first"):
        evaluate_classifier(made, ["no.wav"], ["tone"])


def test_columns_of_a_table_count_by_place(made: AudioClassifier, kinds: Path) -> None:
    paths, truth = files(kinds, TEST)
    frame = pd.DataFrame({"path": paths, "label": truth, "group": [f"g{i % 4}" for i in range(16)]})
    for table in (frame.sample(frac=1, random_state=0), frame[frame.label != "noise"]):
        path, label, group = (table[name] for name in ("path", "label", "group"))
        found = evaluate_classifier(made, path, label, groups=group)
        assert (found.truth, found.groups) == (tuple(label), tuple(group))
        assert found.accuracy.estimate == 1.0
        trained = train_classifier(path, label, groups=group, frontend="sound", settings=SETTINGS, folds=0).classifier
        assert trained.predict(path) == tuple(label)
    with pytest.raises(InvalidInput, match="groups must be 16 texts, one for each sound; got 3"):
        evaluate_classifier(made, paths, truth, groups=["a", "b", "c"])


def test_cross_validation_is_training_on_the_other_folds(kinds: Path) -> None:
    paths, labels = files(kinds, range(6))
    folds = [str(i % 2) for i in range(len(paths))]
    front = preset("sound", 8000)
    found = cross_validate(paths, labels, folds, frontend=front, settings=SETTINGS, calibration_folds=0)
    assert found.names == tuple(paths)
    expected: dict[str, str | None] = {}
    for fold in "01":
        inside = [i for i, f in enumerate(folds) if f == fold]
        outside = [i for i, f in enumerate(folds) if f != fold]
        one = train_classifier(
            [paths[i] for i in outside], [labels[i] for i in outside], frontend=front, settings=SETTINGS, folds=0
        ).classifier
        expected |= dict(zip([paths[i] for i in inside], one.predict([paths[i] for i in inside]), strict=True))
    assert list(found.decisions) == [expected[p] for p in paths]
    with pytest.raises(InvalidInput, match="folds must be two or more different ones; got 'a' alone"):
        cross_validate(paths, labels, ["a"] * 24)
    with pytest.raises(InvalidInput, match="folds must be 24 texts, one for each sound; got 2"):
        cross_validate(paths, labels, ["a", "b"])
    with pytest.raises(InvalidInput, match="every class must occur in at least two folds; got 'chirp' in one"):
        cross_validate(paths, labels, labels)


def test_labels_come_from_a_column_or_folders(kinds: Path, tmp_path: Path) -> None:
    corpus = read_corpus(kinds)
    assert set(corpus.column("label")) == set(KINDS)
    with pytest.raises(InvalidInput, match="the label must name a column: path, speaker, label, session; got 'word'"):
        corpus.column("word")
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,label\na.wav,x\nb.wav,y\n", encoding="utf-8")
    assert read_corpus(manifest, label="label").column("label") == ("x", "y")
    with pytest.raises(InvalidInput, match=r"have the column speaker; got path, label"):
        read_corpus(manifest)
    manifest.write_text("path,speaker,label\na.wav,s,x\nb.wav,s,\n", encoding="utf-8")
    with pytest.raises(InvalidInput, match=r"the column 'label' must hold a label for every recording; .* b\.wav"):
        read_corpus(manifest).column("label")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match=r"the corpus .*empty must list at least one recording; got none"):
        read_corpus(tmp_path / "empty")


def test_arguments_that_do_not_fit_are_refused(made: AudioClassifier, kinds: Path) -> None:
    path = str(kinds / "tone" / "00.wav")
    for one in (path, Path(path), np.zeros(100)):
        with pytest.raises(InvalidInput, match="sounds must be a list of paths, signals or recordings"):
            made.predict(one)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="sounds must be at least one; got none"):
        made.predict([])
    with pytest.raises(InvalidInput, match="labels must be 2 texts, one for each sound; got 1"):
        train_classifier([path, path], ["a"])
    with pytest.raises(InvalidInput, match="folds must be at least 0; got -1"):
        train_classifier(*files(kinds, TRAIN), folds=-1, frontend="sound")
    with pytest.raises(InvalidInput, match="folds must be two or more, or 0 for none; got 1"):
        train_classifier(*files(kinds, TRAIN), folds=1, frontend="sound")
    with pytest.raises(InvalidInput, match="sounds must be at least one, with a rate; got bare samples"):
        train_classifier([np.zeros(8000), np.zeros(8000)], ["a", "b"])
    with pytest.raises(InvalidInput, match=r"preset must be one of 'speech', .*'sound', .*; got 'music'"):
        train_classifier([path, path], ["a", "b"], frontend="music")
    with pytest.raises(IncompatibleModel, match="mixtures must be 4, one for each label, of 60 features"):
        dataclasses.replace(made, frontend=MFCC(sample_rate=8000))
    with pytest.raises(InvalidInput, match="labels must be two or more, different and sorted"):
        dataclasses.replace(made, labels=KINDS[::-1])
    with pytest.raises(InvalidInput, match="frames must have 40 features"):
        made.scores(np.zeros((3, 5)))


def test_a_long_sound_is_scored_block_by_block(made: AudioClassifier) -> None:
    d = made.frontend.n_dimensions
    made = dataclasses.replace(made, machine=None, rejection=None)
    x = made.mixtures[0].sample(FRAMES + 99).frames.astype(np.float32)
    whole = file_scores(class_log_densities(made.mixtures, x), np.array([len(x)]))
    for rows in (x, Spool([x], in_memory=0).array()):
        found = made.scores(rows)
        # a short block is worked in float64, a long one in float32
        np.testing.assert_allclose(found.classes, whole.classes, rtol=1e-5)
        np.testing.assert_allclose(found.evidence, whole.evidence, rtol=1e-4, atol=1e-4)
    with pytest.raises(InvalidInput, match=f"have {d} features per frame"):
        made.scores(Spool([x[:, 1:]], in_memory=0).array())


NFC, NFD = "Ren\u00e9", "Rene\u0301"


def test_a_class_has_one_spelling_and_nothing_unseen(made: AudioClassifier) -> None:
    assert text_columns(2, labels=[NFC, NFD]) == [[NFC, NFC]]
    with pytest.raises(InvalidInput, match=r"each of labels must hold no control or format characters; got U\+202E"):
        text_columns(1, labels=["a\u202e"])
    labels = tuple(sorted([NFD, *made.labels[1:]]))
    assert NFC in dataclasses.replace(made, labels=labels).labels
    with pytest.raises(InvalidInput, match=r"a label must hold no control or format characters; got U\+0000"):
        dataclasses.replace(made, labels=("a\0", *made.labels[1:]))
