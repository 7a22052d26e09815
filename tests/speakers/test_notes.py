"""What is noted of speakers, who is purged and when, and what the audit tells."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import speechgmm
from speechgmm import storage
from speechgmm.errors import InvalidInput, UnknownSpeaker
from speechgmm.speakers import AuditEntry, SpeakerExport, SpeakerNote, SpeakerStore, System, load_export
from tests.speakers.test_damaged_store import change
from tests.speakers.test_store import in_file, new, put, session, two

__all__ = ["new", "two"]


@given(st.builds(SpeakerNote, st.text("abc é\"'", max_size=9), st.text("xyz", max_size=9), st.dates().map(str)))
def test_a_note_is_read_as_it_was_written(note: SpeakerNote) -> None:
    assert SpeakerNote.loads(note.dumps()) == note


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"note": ""}', '{"consent": "", "note": "", "until": ""}'])
def test_another_text_is_no_note(text: str) -> None:
    with pytest.raises(InvalidInput, match="what was noted of a speaker must be as this version writes it"):
        SpeakerNote.loads(text)


@pytest.mark.parametrize(
    "last", ["31.1.2030", "2030-13-01", "20300131", "2030-1-1", "x", 7, datetime.datetime(2030, 1, 1)]
)
def test_a_day_is_written_in_one_way(last: object) -> None:
    with pytest.raises(InvalidInput, match=r"keep_until must be a day as YEAR-MONTH-DAY; got .* For example"):
        SpeakerNote(keep_until=last)  # type: ignore[arg-type]


def test_a_note_is_plain_text() -> None:
    assert SpeakerNote(keep_until=datetime.date(2030, 1, 31)).keep_until == "2030-01-31"  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="note must hold no control or format characters"):
        SpeakerNote(note="a\x1b[31m")
    with pytest.raises(InvalidInput, match="consent must be a str"):
        SpeakerNote(consent=7)  # type: ignore[arg-type]


def test_notes_are_kept_replaced_renamed_and_forgotten(two: SpeakerStore, tiny: System) -> None:
    note = SpeakerNote("yes", "likes tea", "2030-01-31")
    two.annotate("ann", SpeakerNote("no"))
    two.annotate("ann", note)
    assert two.notes() == {"ann": note}
    two.rename("ann", "zoe")
    assert two.notes() == {"zoe": note}
    put(two, session(tiny, "zoe", "c", 8))
    two.remove("zoe", "a")
    assert two.notes() == {"zoe": note}, "while a session is left"
    two.annotate("bob", SpeakerNote(note="x"))
    two.annotate("bob", SpeakerNote())
    assert two.notes() == {"zoe": note}, "an empty note is none"
    two.remove("zoe")
    assert two.notes() == {}
    with pytest.raises(UnknownSpeaker, match="'zoe'"):
        two.annotate("zoe", note)
    with pytest.raises(InvalidInput, match="a note must be a SpeakerNote; got a str"):
        two.annotate("bob", "x")  # type: ignore[arg-type]


def test_whoever_is_due_is_purged_and_nobody_else(two: SpeakerStore, tiny: System) -> None:
    put(two, session(tiny, "cid", "a", 8))
    two.annotate("ann", SpeakerNote(keep_until="2030-01-31"))
    two.annotate("bob", SpeakerNote(keep_until="2030-02-01"))
    assert two.purge("2030-01-31") == ()
    assert two.purge(datetime.date(2030, 2, 1)) == ("ann",)
    assert two.speakers == ("bob", "cid")
    assert two.purge("9999-12-31") == ("bob",)
    assert two.speakers == ("cid",)
    with pytest.raises(InvalidInput, match="on must be a day as YEAR-MONTH-DAY; got 'tomorrow'"):
        two.purge("tomorrow")


def test_purge_takes_the_day_that_it_is(two: SpeakerStore) -> None:
    today = datetime.date.today()
    two.annotate("ann", SpeakerNote(keep_until=(today - datetime.timedelta(2)).isoformat()))
    two.annotate("bob", SpeakerNote(keep_until=(today + datetime.timedelta(2)).isoformat()))
    assert two.purge() == ("ann",)


@in_file
def test_a_damaged_note_stops_a_purge_and_is_found(two: SpeakerStore) -> None:
    two.annotate("ann", SpeakerNote(keep_until="2000-01-31"))
    two.annotate("bob", SpeakerNote(keep_until="2000-01-31"))
    change(Path(two.location), "update speechgmm_notes set value = '{}' where speaker = 'ann'")
    for act in (two.purge, two.notes, lambda: two.rename("ann", "zoe")):
        with pytest.raises(InvalidInput, match="the note of ann must be whole; got what was noted"):
            act()
    assert two.speakers == ("ann", "bob")
    (fault,) = two.check().faults
    assert fault.startswith("the note of ann: what was noted")
    two.annotate("ann", SpeakerNote(keep_until="2000-01-31"))
    assert two.check().passed
    assert two.purge() == ("ann", "bob")


def test_the_audit_says_what_when_and_by_which_version_without_names(two: SpeakerStore, tiny: System) -> None:
    before = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0)
    put(two, session(tiny, "cid", "a", 8), session(tiny, "ann", "a", 9))
    put(two, session(tiny, "bob", "a", 4), forget=[("bob", None)])
    two.rename("cid", "dan")
    two.annotate("dan", SpeakerNote(keep_until="2000-01-01"))
    two.purge()
    two.purge()  # nobody: nothing to tell
    two.remove("ann", "b")
    two.add([])
    with pytest.raises(UnknownSpeaker):
        two.remove("nobody")
    told = two.audit()
    assert [(a.action, a.speakers, a.sessions, a.recordings) for a in told] == [
        ("enroll", 2, 3, 4),
        ("enroll", 2, 2, 2),
        ("enroll", 1, 1, 2),
        ("rename", 1, 1, 1),
        ("annotate", 1, 1, 0),
        ("purge", 1, 1, 1),
        ("remove", 1, 1, 1),
    ]
    assert [a.number for a in told] == list(range(1, 8))
    assert {a.version for a in told} == {speechgmm.__version__}
    times = [datetime.datetime.fromisoformat(a.time) for a in told]
    assert times == sorted(times)
    assert times[1] >= before
    assert all(isinstance(a, AuditEntry) for a in told)
    assert not re.search("ann|bob|cid|dan", " ".join(map(repr, told)).replace("annotate", ""))


def test_an_export_takes_notes_along(two: SpeakerStore, tiny: System, tmp_path: Path) -> None:
    noted, known = SpeakerNote("yes", keep_until="2030-01-31"), SpeakerNote("no")
    two.annotate("ann", noted)
    two.annotate("bob", SpeakerNote("maybe"))
    storage.save(two.export("ann"), tmp_path / "ann")
    loaded = load_export(tmp_path / "ann")
    assert loaded.notes == {"ann": noted}
    assert two.export().notes == two.notes()
    with SpeakerStore(tmp_path / "other.db", tiny, create=True) as other:
        other.add_export(loaded)
        assert other.notes() == {"ann": noted}
    with SpeakerStore(tmp_path / "third.db", tiny, create=True) as third:
        put(third, session(tiny, "ann", "z", 30))
        third.annotate("ann", known)
        third.add_export(loaded)
        assert third.notes() == {"ann": known}, "what is noted stays"
    with pytest.raises(InvalidInput, match="a note of an export must be of one of its speakers; got 'zoe'"):
        SpeakerExport(loaded.fingerprint, loaded.sessions, notes={"zoe": noted})
