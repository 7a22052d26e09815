"""Stores that are closed to strangers, and what their owners note of people: keys, notes, days, the audit."""

import os

import pytest

from speechgmm.speakers import SpeakerStore
from tests.cli.running import DATA, run


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "voices.key"
    path.write_bytes(os.urandom(32))
    return path


@pytest.fixture
def voices():
    """Two recordings of each of two people."""
    return {name: sorted((DATA / name).glob("s1_*.flac")) for name in ("rms", "slt")}


def store_of(made, tmp_path, voices, *more):
    path = tmp_path / "closed.db"
    for name, files in voices.items():
        done = run("enroll", name, *files, "--store", path, "--model", made.model, *more)
        assert done.status == 0, done.err
    return path


def test_a_store_is_encrypted_opened_and_given_another_key(made, tmp_path, voices, key):
    path = store_of(made, tmp_path, voices, "--key-file", key)
    asked = ("identify", DATA / "rms" / "s2_1.flac", "--store", path, "--model", made.model)
    opened = run(*asked, "--key-file", key, "--json").document
    (tmp_path / "open").mkdir()
    plain = store_of(made, tmp_path / "open", voices)
    same = run("identify", DATA / "rms" / "s2_1.flac", "--store", plain, "--model", made.model, "--json").document
    assert opened == same, "a key changes no score"
    run(*asked).refused("closed.db must be opened with its key; got none. Give --key-file.")
    (tmp_path / "other.key").write_bytes(bytes(40))
    for command in (asked, ("info", path), ("speakers", "list", "--store", path)):
        run(*command, "--key-file", tmp_path / "other.key").refused(
            "closed.db must be opened with the key that it was encrypted with; got another key. Give --key-file."
        )
    run("info", plain, "--key-file", key).refused("must be encrypted where a key is given; got one that is not")
    done = run(
        "speakers", "rekey", "--store", path, "--key-file", key, "--new-key-file", tmp_path / "other.key", "--json"
    )
    assert done.document == {"store": str(path), "encrypted": True, "speakers": 2}
    assert run(*asked, "--key-file", tmp_path / "other.key", "--json").document == same
    run(*asked, "--key-file", key).refused("got another key")
    back = run("speakers", "rekey", "--store", path, "--key-file", tmp_path / "other.key", "--decrypt")
    assert back.out == f"{path}: 2 speakers, not encrypted any more\n"
    assert run(*asked, "--json").document == same


def test_the_key_may_come_from_the_environment(made, tmp_path, voices, key, monkeypatch):
    monkeypatch.setenv("SPEECHGMM_KEY_FILE", str(key))
    path = store_of(made, tmp_path, voices)
    assert run("info", path, "--json", "--model", made.model).document["encrypted"] is True
    monkeypatch.delenv("SPEECHGMM_KEY_FILE")
    run("info", path, "--model", made.model).refused("must be opened with its key")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"too short", "must hold 32 bytes or more; got 9. Make one with: head -c 32 /dev/urandom > KEY"),
        (bytes(2**20 + 1), "must hold at most 1048576 bytes; got more"),
        (None, "a key file must be a file that can be read; got"),
    ],
)
def test_what_is_no_key_is_refused(made, tmp_path, content, words):
    path = tmp_path / "bad.key"
    if content is not None:
        path.write_bytes(content)
    run("info", made.store, "--key-file", path).refused(words, path)


def test_an_import_goes_into_an_encrypted_store(made, tmp_path, key):
    export, closed = tmp_path / "all", tmp_path / "closed.db"
    assert run("speakers", "export", "--store", made.store, "-o", export).status == 0
    done = run(
        "speakers", "import", export, "--store", closed, "--model", made.model, "--key-file", key, "--json"
    ).document
    assert done["sessions"] == 10
    with SpeakerStore(closed, key=key.read_bytes()) as store, SpeakerStore(made.store) as open_one:
        assert store.encrypted
        assert store.digests() == open_one.digests()


def test_an_index_of_an_encrypted_store_is_not_encrypted_and_says_so(made, tmp_path, voices, key):
    path, index = store_of(made, tmp_path, voices, "--key-file", key), tmp_path / "people.index"
    options = ("--store", path, "--model", made.model, "--key-file", key)
    done = run("speakers", "index", *options, "-o", index)
    assert f"the store is encrypted, and {index} is not: it holds the names and models of everybody" in done.err
    assert run("identify", DATA / "rms" / "s2_1.flac", *options, "--index", index).status == 0


def test_what_is_noted_is_shown_kept_and_due(own, store):
    shown = run("speakers", "annotate", "rms", "--consent", "signed", "--keep-until", "2030-01-31", *store, "--json")
    assert shown.document == {"speaker": "rms", "consent": "signed", "note": "", "keep_until": "2030-01-31"}
    assert run("speakers", "annotate", "rms", "--note", "by post", *store).out == "noted of rms: note\n"
    assert run("speakers", "annotate", "slt", "--keep-until", "2031-01-01", *store).status == 0
    told = run("speakers", "show", "rms", *store, "--json").document
    assert (told["consent"], told["note"], told["keep_until"]) == ("signed", "by post", "2030-01-31")
    out = run("speakers", "show", "rms", *store).out
    assert "consent" in out
    assert "keep until  2030-01-31" in out
    days = {s["speaker"]: s["keep_until"] for s in run("speakers", "list", *store, "--json").document["speakers"]}
    assert {name: last for name, last in days.items() if last} == {"rms": "2030-01-31", "slt": "2031-01-01"}
    assert run("speakers", "purge", *store, "--on", "2030-01-31").out == "nobody is due\n"
    said = run("speakers", "purge", *store, "--on", "2030-02-01").out
    assert said.startswith("removed 1 speaker: rms\nnot reached: backups, snapshots,")
    assert run("speakers", "purge", *store, "--on", "2040-01-01", "--json").document["removed"] == ["slt"]
    entries = run("speakers", "audit", *store, "--json").document["entries"]
    actions = [(e["action"], e["speakers"], e["sessions"], e["recordings"]) for e in entries]
    assert actions[-5:] == [
        ("annotate", 1, 1, 0),
        ("annotate", 1, 1, 0),
        ("annotate", 1, 1, 0),
        ("purge", 1, 1, 2),
        ("purge", 1, 1, 2),
    ]
    assert [e["number"] for e in entries] == list(range(1, len(entries) + 1))
    assert "rms" not in str(entries)
    assert run("speakers", "audit", *store).rows[-1][-4:] == ["purge", "1", "1", "2"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("annotate", "rms"), 2, "give --consent, --note or --keep-until"),
        (
            ("annotate", "rms", "--keep-until", "31.1.2030"),
            2,
            "keep_until must be a day as YEAR-MONTH-DAY; got '",
        ),
        (("annotate", "nobody", "--note", "x"), 1, "a speaker must be enrolled ("),
        (("purge", "--on", "2030-02-30"), 1, "on must be a day as YEAR-MONTH-DAY; got '2030-02-30'. For example"),
        (("rekey",), 2, "give --new-key-file or --decrypt"),
        (("rekey", "--decrypt", "--new-key-file", "x"), 2, "give --new-key-file or --decrypt"),
        (("rekey", "--new-key-file", "/nowhere"), 1, "a key file must be a file that can be read; got /nowhere"),
    ],
)
def test_what_is_asked_wrongly_is_refused(own, store, words, status, said):
    done = run("speakers", *words, *store)
    assert done.status == status
    assert said in " ".join(done.err.replace("│", " ").split())
