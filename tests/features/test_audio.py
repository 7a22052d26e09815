"""Reading sound: every format, every kind of damage, and the words of each refusal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import ArrayLike

from speechgmm.errors import AudioError
from speechgmm.features import MFCC, Signal, audio, read, sample_rate
from tests.sounds import Array, cut, steps, voice, with_flac_total, with_wav_size, write

RATE = 16000
LOSSLESS = [
    (form, subtype)
    for form, subtypes in {
        "WAV": "PCM_16 PCM_24 PCM_32 FLOAT DOUBLE",
        "WAVEX": "PCM_16 PCM_24 PCM_32 FLOAT DOUBLE",
        "RF64": "PCM_16 PCM_24 PCM_32 FLOAT DOUBLE",
        "W64": "PCM_16 PCM_24 PCM_32 FLOAT DOUBLE",
        "FLAC": "PCM_16 PCM_24",
        "AIFF": "PCM_16 PCM_24 PCM_32 FLOAT DOUBLE",
        "AU": "PCM_16 PCM_24 PCM_32 FLOAT DOUBLE",
        "CAF": "PCM_16 PCM_24 PCM_32 FLOAT DOUBLE ALAC_16 ALAC_24",
        "NIST": "PCM_16 PCM_24 PCM_32",
        "VOC": "PCM_16",
        "IRCAM": "PCM_16 PCM_32 FLOAT",
    }.items()
    for subtype in subtypes.split()
]
EIGHT_BITS = [
    ("WAV", "PCM_U8"),
    ("AIFF", "PCM_S8"),
    ("FLAC", "PCM_S8"),
    ("AU", "PCM_S8"),
    *((form, law) for form in ("WAV", "AU", "AIFF", "W64", "CAF", "NIST") for law in ("ULAW", "ALAW")),
]
LOSSY = [
    ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("WAV", "GSM610"),
    ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"),
    ("AU", "G721_32"),
]
TRUNCATED = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "ULAW"),
    ("WAVEX", "PCM_24"),
    ("W64", "PCM_16"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
]


@pytest.fixture(scope="module")
def sound() -> Array:
    return steps(voice(1.0, RATE)) / 32768


@pytest.mark.parametrize(("form", "subtype"), LOSSLESS)
def test_lossless_formats_give_the_same_samples_and_digest(
    tmp_path: Path, sound: Array, form: str, subtype: str
) -> None:
    signal = read(write(tmp_path / "a", sound, RATE, format=form, subtype=subtype))
    assert signal.sample_rate == RATE
    assert signal.seconds == 1.0
    assert signal.samples.dtype == np.float32
    np.testing.assert_array_equal(signal.samples, sound.astype(np.float32))
    assert signal.digest == Signal(sound.astype(np.float32), RATE).digest


@pytest.mark.parametrize(("form", "subtype"), EIGHT_BITS)
def test_eight_bit_formats_give_the_same_within_their_steps(
    tmp_path: Path, sound: Array, form: str, subtype: str
) -> None:
    samples = read(write(tmp_path / "a", sound, RATE, format=form, subtype=subtype)).samples
    assert samples.shape == sound.shape
    # one step of 8 bits, or for the logarithmic laws a step in proportion to the sample
    assert (np.abs(samples - sound) <= 1 / 128 + np.abs(sound) / 16).all()
    assert np.std(samples) == pytest.approx(np.std(sound), rel=0.02)


@pytest.mark.parametrize(("form", "subtype"), LOSSY)
def test_lossy_formats_give_the_same_length_and_level(tmp_path: Path, sound: Array, form: str, subtype: str) -> None:
    samples = read(write(tmp_path / "a", sound, RATE, format=form, subtype=subtype)).samples
    assert len(sound) <= len(samples) <= len(sound) + 1024
    assert np.std(samples) == pytest.approx(np.std(sound), rel=0.15)
    assert np.corrcoef(samples[: len(sound)], sound)[0, 1] > 0.9


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_a_float_file_and_its_16_bit_copy_give_the_same_features(tmp_path: Path, sound: Array, subtype: str) -> None:
    floats = write(tmp_path / "float.wav", sound, RATE, subtype=subtype)
    ints = write(tmp_path / "int.wav", steps(sound), RATE)
    frontend = MFCC(sample_rate=RATE)
    np.testing.assert_array_equal(frontend.from_file(floats), frontend.from_file(ints))
    assert np.abs(read(floats).samples).max() == pytest.approx(np.abs(sound).max(), rel=1e-6)


def test_digests_differ_where_samples_do(sound: Array) -> None:
    other = sound.astype(np.float32)
    other[5] += np.float32(2**-15)
    assert Signal(other, RATE).digest != Signal(sound.astype(np.float32), RATE).digest


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Array]:
    both = np.stack([steps(voice(0.5, seed=1)), steps(voice(0.5, seed=2))], axis=1) / 32768
    return write(tmp_path_factory.mktemp("stereo") / "two.wav", both), both


@pytest.mark.parametrize("channel", [0, 1])
def test_channel_is_chosen(stereo: tuple[Path, Array], channel: int) -> None:
    path, both = stereo
    np.testing.assert_array_equal(read(path, channel=channel).samples, both[:, channel].astype(np.float32))


def test_channels_are_mixed_to_their_mean(stereo: tuple[Path, Array]) -> None:
    path, both = stereo
    np.testing.assert_allclose(read(path).samples, both.mean(axis=1), atol=1e-7)
    assert read(path).digest not in (read(path, channel=0).digest, read(path, channel=1).digest)


def test_one_channel_is_its_own_mix(tmp_path: Path, sound: Array) -> None:
    path = write(tmp_path / "a.wav", sound)
    assert read(path, channel=0).digest == read(path, channel="mix").digest


@pytest.mark.parametrize("channel", [2, -1, "left", True])
def test_bad_channel_is_refused(stereo: tuple[Path, Array], channel: int | str) -> None:
    with pytest.raises(AudioError, match=r"channel of .*two\.wav must be 'mix' or one of its 2 channels, counted from"):
        read(stereo[0], channel=channel)


@pytest.mark.parametrize(("start", "end"), [(0.0, None), (0.25, None), (0.25, 0.5), (0.0, 0.5), (0.99, 1.0)])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "CAF"])
def test_start_and_end_cut_out_a_part(tmp_path: Path, sound: Array, form: str, start: float, end: float | None) -> None:
    path = write(tmp_path / "a", sound, format=form)
    expected = sound[round(start * RATE) : None if end is None else round(end * RATE)]
    np.testing.assert_array_equal(read(path, start=start, end=end).samples, expected.astype(np.float32))


def test_a_part_of_a_format_that_cannot_seek(tmp_path: Path, sound: Array) -> None:
    path = write(tmp_path / "a.wav", sound, subtype="GSM610")
    whole = read(path).samples
    np.testing.assert_array_equal(read(path, start=0.25, end=0.75).samples, whole[RATE // 4 : 3 * RATE // 4])


@pytest.mark.parametrize(
    ("start", "end"),
    [
        *[(-0.1, None), (1.0, None), (2.0, 3.0), (0.5, 0.5), (0.5, 0.2), (0.0, 1.1)],
        *[(np.nan, None), (0.0, np.nan), (np.inf, None), (0.0, np.inf)],
    ],
)
def test_a_part_outside_the_file_is_refused(tmp_path: Path, sound: Array, start: float, end: float | None) -> None:
    path = write(tmp_path / "a.wav", sound)
    with pytest.raises(AudioError, match=r"the part of .*a\.wav must lie within its 1\.00 s; got \S+ to "):
        read(path, start=start, end=end)


@pytest.mark.parametrize("over", [0.005, 0.01, 0.05])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "MP3"])
def test_an_end_little_after_the_files_own_is_trimmed(tmp_path: Path, sound: Array, form: str, over: float) -> None:
    path = write(tmp_path / "a", sound, format=form)
    whole = read(path)
    part = read(path, start=0.25, end=sf.info(path).duration + over)
    np.testing.assert_allclose(part.samples, whole.samples[RATE // 4 :], atol=1e-6 if form == "MP3" else 0)
    rule = r"lie within its \d\.\d\d s; got 0\.25 to \S+ s\. An end up to 0\.05 s after the file's own is trimmed"
    with pytest.raises(AudioError, match=rule):
        read(path, start=0.25, end=sf.info(path).duration + 0.0502)


def test_a_part_of_a_stream_whose_length_is_not_known(tmp_path: Path, sound: Array) -> None:
    path = with_flac_total(write(tmp_path / "a.flac", sound, subtype="PCM_16"), 0)
    np.testing.assert_array_equal(read(path, start=0.5, end=1.05).samples, sound[RATE // 2 :].astype(np.float32))
    for start, end in ((0.5, 1.06), (1.0, None), (2.0, 3.0), (0.5, 0.5)):
        with pytest.raises(AudioError, match=r"the part of .*a\.flac must lie within its 1\.00 s; got "):
            read(path, start=start, end=end)


def test_long_files_are_read_in_chunks(tmp_path: Path, sound: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.flac", sound)
    whole = read(path)
    for chunk in (1000, len(sound), len(sound) - 1):
        monkeypatch.setattr(audio, "_CHUNK", chunk)
        assert read(path).digest == whole.digest


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_sample_rate_is_the_headers(tmp_path: Path, rate: int) -> None:
    path = write(tmp_path / "a.wav", np.zeros(100), rate)
    assert sample_rate(path) == rate
    assert read(path).sample_rate == rate


@pytest.mark.parametrize("rate", [22050, 44100, 48000, 192000])
def test_resampling_keeps_length_level_and_tones(rate: int) -> None:
    t = np.arange(rate) / rate
    low, high = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 0.45 * rate * t)
    signal = audio.resample(Signal((0.3 * low + 0.3 * high).astype(np.float32), rate), RATE)
    assert signal.sample_rate == RATE
    assert signal.samples.dtype == np.float32
    assert len(signal.samples) == RATE
    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)  # what lies above the new band is gone
    np.testing.assert_allclose(signal.samples[500:-500], expected[500:-500], atol=1e-3)


def gain(rate: int, frequency: float) -> float:
    """How much of a tone is left after resampling to `RATE`, wherever it lies then, in dB."""
    tone = np.sin(2 * np.pi * frequency * np.arange(rate // 4) / rate)
    left = audio.resample(Signal(tone.astype(np.float32), rate), RATE).samples[500:-500].astype(np.float64)
    return float(10 * np.log10(2 * np.mean(left**2)))


@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_resampling_keeps_nine_tenths_of_the_band_and_folds_nothing_into_it(rate: int) -> None:
    """Bands of the front end reach up to half of the rate; an image lies below the rounding of 20 bits."""
    for share in (0.1, 0.5, 0.7, 0.8, 0.85, 0.9):
        assert abs(gain(rate, share * RATE / 2)) < 0.05, share
    for share in (1.02, 1.05, 1.1, 1.15, 1.2, 1.3):
        assert gain(rate, share * RATE / 2) < -120, share


@pytest.mark.parametrize("rate", [44100, 192000])
def test_a_higher_rate_gives_nearly_the_same_features(tmp_path: Path, rate: int) -> None:
    frontend = MFCC(sample_rate=8000, dither=0.0, speech="none", deltas=0)
    high = voice(2.0, rate)
    low = audio.resample(Signal(high.astype(np.float32), rate), 8000).samples
    found = frontend.from_file(write(tmp_path / "a.wav", high, rate, subtype="FLOAT"))
    np.testing.assert_allclose(found, frontend(low), atol=0.05)


def test_the_models_own_rate_is_left_alone() -> None:
    signal = Signal(np.ones(5, dtype=np.float32), RATE)
    assert audio.resample(signal, RATE) is signal


def test_a_lower_rate_is_refused_with_both_ways_out(tmp_path: Path) -> None:
    path = write(tmp_path / "low.wav", voice(1.0, 8000), 8000)
    rule = r"low\.wav must have at least the model's rate of 16000 Hz; got 8000 Hz\. "
    advice = (
        "Record at 16000 Hz or more, or use a model of at most 8000 Hz: for speakers the packaged one, which a new "
    )
    advice += "store takes by itself, or one trained with sample_rate=8000; on the command line: speechgmm train "
    with pytest.raises(AudioError, match=rule + advice + r"--sample-rate 8000\."):
        MFCC(sample_rate=16000).from_file(path)


@pytest.mark.parametrize(("form", "subtype"), TRUNCATED)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, form: str, subtype: str, share: float) -> None:
    sound = np.random.default_rng(0).normal(0, 0.1, 2 * RATE)
    path = write(tmp_path / "a", sound, RATE, format=form, subtype=subtype)
    assert len(read(path).samples) == len(sound)
    malformed = "must be a sound file that libsndfile reads; got a file it does not"
    with pytest.raises(AudioError, match=rf"{path} (must be whole; got a truncated file \(.+\)\. Copy|{malformed})"):
        read(cut(path, share))


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "CAF", "W64"])
def test_a_file_cut_within_its_header_is_refused(tmp_path: Path, sound: Array, form: str) -> None:
    path = write(tmp_path / "a", sound, RATE, format=form)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(AudioError, match="be a sound file that libsndfile reads; got a file it does not"):
        read(path)


@pytest.mark.parametrize(
    "size", [0xFFFFFFFF, 0xFFFFFFFF - 36, 0x80000000, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFFF00, 0x7FFFF000]
)
def test_streamed_wav_files_are_whole(tmp_path: Path, sound: Array, size: int) -> None:
    path = with_wav_size(write(tmp_path / "a.wav", sound, subtype="PCM_16"), size)
    np.testing.assert_array_equal(read(path).samples, sound.astype(np.float32))


@pytest.mark.parametrize("size", [40000, 0x10000000, 0x60000000])
def test_a_wav_header_that_promises_more_is_not_a_stream(tmp_path: Path, sound: Array, size: int) -> None:
    path = with_wav_size(write(tmp_path / "a.wav", sound, subtype="PCM_16"), size)
    with pytest.raises(AudioError, match=rf"truncated file \(32000 of {size} bytes\)"):
        read(path)


def test_streamed_au_files_are_whole(tmp_path: Path, sound: Array) -> None:
    path = write(tmp_path / "a.au", sound, subtype="PCM_16")
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\xff" * 4 + data[12:])
    assert len(read(path).samples) == len(sound)


def test_streamed_flac_files_are_whole(tmp_path: Path, sound: Array) -> None:
    path = with_flac_total(write(tmp_path / "a.flac", sound, subtype="PCM_16"), 0)
    np.testing.assert_array_equal(read(path).samples, sound.astype(np.float32))
    with pytest.raises(AudioError, match="must be whole; got a truncated file"):
        read(cut(path, 0.5))


def test_a_header_that_lies_costs_no_memory(tmp_path: Path, sound: Array) -> None:
    path = with_flac_total(write(tmp_path / "a.flac", sound, subtype="PCM_16"), 2**30)
    with pytest.raises(AudioError, match=rf"truncated file \(16000 of {2**30} samples\)"):
        read(path)


def test_bytes_after_the_sound_do_no_harm(tmp_path: Path, sound: Array) -> None:
    path = write(tmp_path / "a.wav", sound, subtype="PCM_16")
    path.write_bytes(path.read_bytes() + b"LIST\x04\x00\x00\x00abcd")
    assert len(read(path).samples) == len(sound)


@pytest.mark.parametrize("function", [read, sample_rate])
def test_missing_file_folder_and_other_files_are_refused(tmp_path: Path, function: Callable[[Path], Any]) -> None:
    with pytest.raises(AudioError, match=r"a recording must exist; got .*none\.wav, which does not\. Check the path"):
        function(tmp_path / "none.wav")
    with pytest.raises(AudioError, match=r"a recording must be a file; got the folder .*\. Name the files in it"):
        function(tmp_path)
    for name, content in {
        "text.wav": b"Dear reader,\n" * 50,
        "empty.wav": b"",
        "empty.flac": b"",
        "a.raw": b"ab" * 99,
    }.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(AudioError, match=rf"{name} must be a sound file .*a file's ending does not make it one"):
            function(path)


@pytest.mark.parametrize("form", ["WAV", "AIFF", "AU", "CAF", "OGG", "W64"])
def test_a_file_without_samples_is_refused(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "a", np.zeros(0), format=form)
    with pytest.raises(AudioError, match=r"must hold samples; got none: the recording is empty\. Record it again"):
        read(path)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF", "AU", "OGG", "MP3"])
def test_one_sample_is_read_and_is_too_little_speech(tmp_path: Path, form: str) -> None:
    path = write(tmp_path / "a", np.full(1, 0.5), format=form)
    assert read(path).samples.shape == (1,)
    with pytest.raises(AudioError, match=r"must hold at least 0\.\d+ s of speech; got 0\.000 s of sound"):
        MFCC().from_file(path)


@pytest.mark.parametrize(("bad", "subtype"), [(np.nan, "FLOAT"), (np.inf, "FLOAT"), (-np.inf, "DOUBLE")])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, sound: Array, bad: float, subtype: str) -> None:
    broken = sound.copy()
    broken[100:103] = bad
    path = write(tmp_path / "a.wav", broken, subtype=subtype)
    with pytest.raises(
        AudioError, match=r"a\.wav must hold finite samples; got 3 NaN or infinite of 16000\. Write the"
    ):
        read(path)


@pytest.mark.parametrize("value", [1e30, -1e30, 2.2e9, 3e38])
def test_samples_far_beyond_full_scale_are_refused_in_words(tmp_path: Path, sound: Array, value: float) -> None:
    loud = np.stack([sound, sound], axis=1)
    loud[100] = value
    path = write(tmp_path / "a.wav", loud, subtype="FLOAT")
    rule = r"must hold samples within 2147483648 times full scale, which is 1; got one of magnitude \d.*\. Scale it"
    told = rule if abs(value) < 2e38 else "must hold finite samples; got 1 NaN or infinite of 16000"
    with pytest.raises(AudioError, match=rf"a\.wav {told}"):
        MFCC(sample_rate=8000).from_file(path)
    with pytest.raises(AudioError, match=rule):
        MFCC()(loud[:, 0].astype(np.float64) * 10)
    with pytest.raises(AudioError, match=rule):
        MFCC()(np.full(16000, 1e300))


@pytest.mark.parametrize("scale", [1e-30, 32768.0, 2.0**31])
def test_samples_of_another_scale_give_features_without_a_warning(sound: Array, scale: float) -> None:
    frontend = MFCC(silence=-200.0, dither=0.0)
    assert np.isfinite(frontend(scale * sound / np.abs(sound).max())).all()


FLOATS = r"be one channel of float samples in \[-1, 1\]; got an array of "


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(100, dtype=np.int16), FLOATS + r"shape \(100,\) and type int16\. .*divide 16-bit samples by 32768"),
        ([0, 1, 2], FLOATS + r"shape \(3,\) and type int64"),
        (np.zeros((100, 2)), FLOATS + r"shape \(100, 2\) and type float64\. Choose a channel first"),
        (np.float64(1.0), FLOATS + r"shape \(\)"),
        (np.array(["a"]), FLOATS + r"shape \(1,\) and type <U1"),
        (np.zeros(10, dtype=complex), FLOATS + ".* type complex128"),
        (np.zeros(0), r"hold samples; got none"),
        (np.full(9, np.nan), r"hold finite samples; got 9 NaN or infinite of 9"),
    ],
    ids=["int16", "list", "2-D", "0-D", "text", "complex", "empty", "NaN"],
)
def test_the_front_end_refuses_what_is_no_signal(samples: ArrayLike, message: str) -> None:
    with pytest.raises(AudioError, match=f"^mine must {message}"):
        MFCC()(samples, what="mine")


def test_reading_leaves_no_file_open(tmp_path: Path, sound: Array) -> None:
    path = write(tmp_path / "a.wav", sound)
    read(path)
    path.unlink()
    write(path, sound[:100])
    assert len(read(path).samples) == 100
    assert sf.info(path).frames == 100
