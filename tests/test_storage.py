"""Storage: to the bit, the same bytes for the same value, and refusal of everything else."""

from __future__ import annotations

import ast
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

import speechgmm
from speechgmm.errors import IncompatibleModel, InvalidInput
from speechgmm.mixture import GMM, Diagonal
from speechgmm.storage import dumps, fingerprint, know, load, loads, read_header, save
from tests import forging, laws

PACKAGE = Path(speechgmm.__file__).parent


@dataclass(frozen=True, eq=False)
class Leaf:
    """A value of arrays."""

    array: Any


@dataclass(frozen=True, eq=False)
class Tree:
    """A value of everything that can be stored."""

    content: Any = None
    name: str = "tree"
    derived: int = field(init=False, default=3)


def back(value: Any) -> Any:
    return loads(dumps(value), type(value), Leaf, Tree)


def same(a: Any, b: Any) -> None:
    """Assert that `a` came back as `b`: type, shape and bits; sequences come back as tuples."""
    if isinstance(b, np.ndarray):
        assert isinstance(a, np.ndarray)
        assert (a.dtype, a.shape) == (b.dtype.newbyteorder("="), b.shape)
        assert a.tobytes() == b.astype(a.dtype).tobytes()
    elif isinstance(b, (list, tuple)):
        assert isinstance(a, tuple)
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    elif isinstance(b, Mapping):
        assert isinstance(a, dict)
        assert set(a) == set(b)
        for key in b:
            same(a[key], b[key])
    elif isinstance(b, (Leaf, Tree)):
        assert type(a) is type(b)
        same(vars(a), vars(b))
    elif isinstance(b, float):
        assert isinstance(a, float)
        assert np.float64(a).tobytes() == np.float64(b).tobytes() or (math.isnan(a) and math.isnan(b))
    else:
        assert type(a) is type(b)
        assert a == b


DTYPES = ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">f4", ">f8", ">i2", ">u8"]
arrays = st.sampled_from(DTYPES).flatmap(lambda d: nps.arrays(np.dtype(d), nps.array_shapes(min_dims=0, min_side=0)))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(
    scalars | arrays,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        | st.builds(Leaf, inner)
        | st.builds(Tree, inner, st.text())
    ),
    max_leaves=8,
)


@given(values)
def test_saved_is_loaded_to_the_bit(value):
    same(back(Tree(value)), Tree(value))


@given(values)
def test_the_same_value_gives_the_same_bytes(value):
    assert dumps(Tree(value)) == dumps(Tree(value)) == dumps(back(Tree(value)))
    assert fingerprint(value) == fingerprint(value)


X = np.arange(24.0).reshape(4, 6)
LAYOUTS = {
    "fortran": np.asfortranarray(X),
    "transposed": X.T,
    "strided": X[::2, ::3],
    "reversed": X[::-1, ::-1],
    "broadcast": np.broadcast_to(X[0], (5, 6)),
    "big endian": X.astype(">f8"),
    "big endian, fortran": np.asfortranarray(X.astype(">i4")),
    "three axes": np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)),
    "no axes": np.array(2.5),
    "empty": np.zeros((0, 3)),
    "empty, fortran": np.zeros((3, 0), np.float32, order="F"),
    "read-only": np.frombuffer(b"\x01\x02\x03", np.uint8),
    "special": np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, np.finfo(float).max]),
    "bool": np.array([True, False]),
}


@pytest.mark.parametrize("array", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_any_memory_layout(array):
    loaded = back(Leaf(array)).array
    same(loaded, array)
    assert loaded.flags.c_contiguous
    assert dumps(Leaf(array)) == dumps(Leaf(np.array(array, dtype=loaded.dtype, order="C")))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1])
def test_any_float(value):
    same(back(Tree(value)), Tree(value))


def test_numpy_numbers_come_back_as_arrays_without_axes():
    loaded = back(Tree((np.float64(0.1), np.int32(3), np.bool_(True)))).content
    for got, expected in zip(loaded, (np.array(0.1), np.array(3, np.int32), np.array(True)), strict=True):
        same(got, expected)


def test_mappings_of_any_kind_and_order_give_the_same_bytes():
    a, b = np.ones(2), np.zeros(3, np.int8)
    mappings = [{"a": a, "b": b}, {"b": b, "a": a}, MappingProxyType({"b": b, "a": a})]
    assert len({dumps(Tree(m)) for m in mappings}) == 1
    assert len({fingerprint(m) for m in mappings}) == 1


def test_keys_that_look_like_paths_or_marks_are_kept_apart():
    content = {
        "a.b": np.array(1.0),
        "a": {"b": np.array(2.0), "b\\": {"c": np.array(3.0)}},
        "a\\.b": np.array(4.0),
        "a.b\\": {"c": np.array(5.0)},
        "a\\": {"b": np.array(8.0)},
        "$array": "a",
        "$type": "Leaf",
        "": np.array(6.0),
        "0": (np.array(7.0),),
    }
    same(back(Tree(content)), Tree(content))


def test_a_mixture_survives_a_file(tmp_path):
    gmm = laws.random_gmm(3, 4)
    save(gmm, tmp_path / "ubm.safetensors")
    loaded = load(str(tmp_path / "ubm.safetensors"), GMM, Diagonal)
    laws.same_bits(loaded, gmm)
    x = gmm.sample(20).frames
    assert loaded.log_density(x).tobytes() == gmm.log_density(x).tobytes()
    assert fingerprint(loaded) == fingerprint(gmm)


def test_saving_again_replaces_the_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "value"
    for n in (1000, 3):
        save(Leaf(np.zeros(n)), path)
        assert path.read_bytes() == dumps(Leaf(np.zeros(n)))
        assert os.listdir(tmp_path) == ["value"]


PROGRAM = """
import sys
import numpy as np
from speechgmm.mixture import GMM, Diagonal
from speechgmm.storage import dumps, fingerprint
gmm = GMM([0.25, 0.75], [[0.0, 1.0], [2.0, 3.0]], Diagonal(np.ones((2, 2))))
sys.stdout.write(dumps(gmm).hex() + " " + fingerprint({"b": gmm, "a": 1.5, "c": "x"}))
"""


def test_other_processes_write_the_same_bytes():
    outputs = set()
    for seed in ("0", "12345"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(PACKAGE.parent)}
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
        )
        outputs.add(run.stdout)
    gmm = GMM([0.25, 0.75], [[0.0, 1.0], [2.0, 3.0]], Diagonal(np.ones((2, 2))))
    assert outputs == {dumps(gmm).hex() + " " + fingerprint({"c": "x", "b": gmm, "a": 1.5})}


def test_the_header_can_be_read_alone(tmp_path):
    save(Tree({"rate": 16000, "data": np.zeros(3)}, name="front end"), tmp_path / "f")
    header = read_header(tmp_path / "f")
    assert header["$type"] == "Tree"
    assert header["fields"]["name"] == "front end"
    assert header["fields"]["content"]["$dict"]["rate"] == 16000
    assert "derived" not in header["fields"]


# What is refused when saving


class NotData:
    """Not a dataclass."""


UNSTORABLE = {
    "object array": (Leaf(np.array([None, 1])), "the array array must be of a bool, integer or float type"),
    "complex array": (Leaf(np.zeros(2, complex)), "of up to 64 bits; got complex128"),
    "text array": (Leaf(np.array(["a"])), "got <U1"),
    "dates": (Leaf(np.array(["2020-01-01"], "M8[D]")), "got datetime64[D]"),
    "records": (Leaf(np.zeros(2, [("a", "f8")])), "must be of a bool, integer or float type"),
    "long double": (Leaf(np.zeros(2, np.longdouble)), "of up to 64 bits"),
    "nested": (Tree({"a": [np.array([None])]}), "the array content.a.0 must be of a bool"),
    "set": (Tree({1, 2}), "content must be an array, number, text or a value of these; got set"),
    "bytes": (Tree(b"a"), "got bytes"),
    "complex": (Tree([1j]), "content.0 must be an array, number, text or a value of these; got complex"),
    "function": (Tree(len), "got builtin_function_or_method"),
    "class": (Tree(Leaf), "got type"),
    "object": (Tree(NotData()), "got NotData"),
    "keys": (Tree({1: "a"}), "the keys of content must be text to be stored; got [1]"),
    "dict": ({"a": 1}, "a stored value must be a dataclass instance; got dict"),
    "bare class": (Leaf, "a stored value must be a dataclass instance; got type"),
    "none": (None, "a stored value must be a dataclass instance; got NoneType"),
}


@pytest.mark.parametrize(("value", "words"), UNSTORABLE.values(), ids=UNSTORABLE.keys())
def test_what_cannot_be_stored_is_refused_and_leaves_no_file(value, words, tmp_path):
    with pytest.raises(InvalidInput, match=re.escape(words)):
        save(value, tmp_path / "value")
    assert os.listdir(tmp_path) == []


def test_fingerprints_refuse_the_same():
    with pytest.raises(InvalidInput, match="0 must be an array, number, text or a value of these; got set"):
        fingerprint({1})


# What is refused when loading

VALUE = Tree({"x": np.arange(5.0), "leaf": Leaf(np.ones((2, 2), np.float32)), "inf": math.inf, "n": 3})
DATA = dumps(VALUE)


def header_of(data: bytes) -> dict[str, Any]:
    size = int.from_bytes(data[:8], "little")
    return json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["speechgmm"])


def forged(change: Any) -> bytes:
    """Return DATA with another header of ours and no change else."""
    header = header_of(DATA)
    change(header)
    return with_metadata(speechgmm=json.dumps(header))


def with_metadata(**changed: Any) -> bytes:
    """Return DATA with other metadata of safetensors."""
    size = int.from_bytes(DATA[:8], "little")
    outer = json.loads(DATA[8 : 8 + size])
    outer["__metadata__"].update(changed)
    text = json.dumps(outer).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + DATA[8 + size :]


@pytest.mark.parametrize("function", [lambda path: load(path, Tree), read_header], ids=["load", "read_header"])
def test_missing_files_folders_and_other_files_are_refused(function, tmp_path):
    with pytest.raises(InvalidInput, match=r"the model file must exist; got .*missing, which does not"):
        function(tmp_path / "missing")
    with pytest.raises(InvalidInput, match=r"the model file must be a readable file; got .* \(Is a directory\)"):
        function(tmp_path)
    others = {
        "text": b"speaker,file\n" * 9,
        "empty": b"",
        "zeros": bytes(100),
        "short": DATA[:5],
        "array": b"[1, 2]" * 9,
    }
    others["json"] = (2).to_bytes(8, "little") + b"[]"
    others["foreign"] = (20).to_bytes(8, "little") + b'{"__metadata__": {}}'
    for name, data in others.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InvalidInput, match=rf"{name} must be a speechgmm file \(safetensors with a header\); got "):
            function(tmp_path / name)


def test_a_safetensors_file_of_others_is_refused():
    from safetensors.numpy import save as to_bytes

    for metadata in (None, {"format": "pt"}, {"speechgmm": "no json"}, {"speechgmm": "[1]"}, {"speechgmm": "{}"}):
        with pytest.raises(InvalidInput, match="the data must be a speechgmm file"):
            loads(to_bytes({"x": np.ones(2)}, metadata=metadata), Tree)


def test_what_the_library_refuses_is_refused_in_our_words():
    loads(with_metadata(more="text"), Tree, Leaf)
    with pytest.raises(InvalidInput, match=r"must be a whole model file; got a damaged one \(.*\)\. Copy or train it"):
        loads(with_metadata(more=3), Tree, Leaf)


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 100, len(DATA) // 2, len(DATA) - 40, len(DATA) - 1])
def test_truncated_data_is_refused(length):
    with pytest.raises(InvalidInput, match="the data must be"):
        loads(DATA[:length], Tree, Leaf)


def test_appended_data_is_refused():
    with pytest.raises(InvalidInput, match="got 8 bytes that belong to none, at the end"):
        loads(DATA + b"\0" * 8, Tree, Leaf)


def test_a_flipped_bit_in_the_arrays_is_found_by_the_digest():
    size = int.from_bytes(DATA[:8], "little")
    for position in range(8 + size, len(DATA)):
        damaged = bytearray(DATA)
        damaged[position] ^= 1
        with pytest.raises(InvalidInput, match="the data must be unchanged since it was saved; got another digest"):
            loads(bytes(damaged), Tree, Leaf)


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_anywhere_is_refused(bit):
    for position in range(len(DATA)):
        damaged = bytearray(DATA)
        damaged[position] ^= 1 << bit
        with pytest.raises(InvalidInput, match="the data must"):
            loads(bytes(damaged), Tree, Leaf)


@pytest.mark.parametrize("key", ["format", "value", "digest"])
def test_a_header_without_one_of_its_parts_is_refused(key):
    with pytest.raises(InvalidInput, match="the data must be a speechgmm file"):
        loads(forged(lambda header: header.pop(key)), Tree, Leaf)


def test_a_changed_setting_is_found_by_the_digest():
    loads(forged(lambda header: None), Tree, Leaf)  # the forgery as such is well made
    with pytest.raises(InvalidInput, match="got another digest"):
        loads(forged(lambda header: header["value"]["fields"].update(name="other")), Tree, Leaf)


def test_another_format_is_refused():
    with pytest.raises(IncompatibleModel, match=r"the data must be of format 1; got format 2. Update speechgmm"):
        loads(forged(lambda header: header.update(format=2)), Tree, Leaf)


def test_another_type_is_refused():
    with pytest.raises(IncompatibleModel, match="the data must hold a Leaf; got a Tree"):
        loads(DATA, Leaf, Tree)


def test_an_unknown_nested_type_is_refused(monkeypatch):
    monkeypatch.setattr("speechgmm.storage._KNOWN", {})
    with pytest.raises(IncompatibleModel, match="the data must hold only Tree; got a Leaf"):
        loads(DATA, Tree)


def test_a_type_that_was_made_known_need_not_be_named(monkeypatch):
    monkeypatch.setattr("speechgmm.storage._KNOWN", {})
    data, later = dumps(Tree(Leaf(1))), make_dataclass("Leaf", ["array"], frozen=True)
    with pytest.raises(IncompatibleModel, match="must hold only Tree; got a Leaf"):
        loads(data, Tree)
    for cls in (Leaf, later):
        know(cls)
        assert type(loads(data, Tree).content) is cls
    assert type(loads(data, Tree, Leaf).content) is Leaf


def test_a_field_that_came_later_has_its_former_value_in_files_without_it():
    def settings(**more: Any) -> type:
        fields = [("rate", int), *((name, kind, field(default=default)) for name, (kind, default) in more.items())]
        later = {"LATER_FIELDS": {"range": 20.0, "note": None}} if more else {}
        return make_dataclass("Settings", fields, frozen=True, namespace=later)

    former, now = settings(), settings(range=(float, 16.0), note=(Any, None))
    data = dumps(former(8))
    assert loads(data, now) == now(8, 20.0)
    assert dumps(now(8, 20.0)) == data, "it keeps its fingerprint"
    for value in (now(8), now(8, 20.0, "told"), now(8, 20.5, np.arange(3))):
        again = loads(dumps(value), now)
        assert again.range == value.range
        np.testing.assert_array_equal(again.note, value.note)
    with pytest.raises(IncompatibleModel, match="got also range"):
        loads(dumps(now(8)), former)


def test_a_field_of_a_later_version_is_refused():
    @dataclass(frozen=True)
    class Settings:
        rate: int = 1

    @dataclass(frozen=True)
    class Later:
        rate: int = 1
        warp: float = 0.5
        bands: int = 3

    Later.__name__ = "Settings"
    words = "must hold only the settings of Settings; got also bands, warp. It was written by a later version"
    with pytest.raises(IncompatibleModel, match=words):
        loads(dumps(Later()), Settings)
    assert loads(dumps(Settings(7)), Later) == Later(7)  # an older file takes the defaults


def test_a_field_without_default_that_is_not_there_is_refused():
    @dataclass(frozen=True)
    class Small:
        pass

    Small.__name__ = "Leaf"
    words = "the data must hold a Leaf as this version writes it; got one without "
    with pytest.raises(IncompatibleModel, match=rf"{words}.*It was written by an earlier version: train it again\."):
        loads(dumps(Small()), Leaf)


def test_a_value_that_its_type_refuses_is_refused():
    @dataclass(frozen=True)
    class Anything:
        variances: Any

    Anything.__name__ = "Diagonal"
    with pytest.raises(InvalidInput, match="the data must hold a valid Diagonal; variances must be above 0; got -1"):
        loads(dumps(Anything(np.array([[-1.0]]))), Diagonal)


# Fingerprints


def test_fingerprints_are_sixteen_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{16}", fingerprint(1, "a", X))


def test_fingerprints_depend_on_content_alone():
    for layout in LAYOUTS.values():
        assert fingerprint(layout) == fingerprint(np.array(layout, dtype=layout.dtype.newbyteorder("="), order="C"))
    assert fingerprint([1, 2]) == fingerprint((1, 2))
    assert fingerprint(laws.random_gmm(2, 2)) == fingerprint(laws.random_gmm(2, 2))


def test_fingerprints_change_with_the_last_bit_of_anything():
    different = [
        (X,),
        (np.nextafter(X, np.inf),),
        (np.where(X == 7, np.nextafter(X, np.inf), X),),
        (X.T,),
        (X.ravel(),),
        (X.astype(np.float32),),
        (X, 1),
        (1, X),
        (1,),
        (1.0,),
        (np.nextafter(1.0, 2.0).item(),),
        (True,),
        ("1",),
        (None,),
        (),
        ((),),
        ({},),
        (0.0,),
        (-0.0,),
        (math.nan,),
        (math.inf,),
        (-math.inf,),
        ({"a": 1},),
        ({"a": 1, "b": None},),
        (Leaf(X),),
        (Tree(X),),
        (Tree(X, name="other"),),
    ]
    assert len({fingerprint(*values) for values in different}) == len(different)


def test_pickle_and_its_kin_are_used_nowhere():
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    files = sorted(PACKAGE.rglob("*.py"))
    assert PACKAGE / "storage.py" in files
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not forbidden & {n.split(".")[0] for n in names}, path
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert getattr(node.value, "value", None) is False, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "__import__"}, path


STRANGE = {
    "no type": ({"fields": {}}, "must hold values as speechgmm writes them; got an object with 'fields'"),
    "no fields": ({"$type": "Tree"}, "got an object with '$type'"),
    "fields no object": ({"$type": "Tree", "fields": []}, "must hold values as speechgmm writes them"),
    "type no text": ({"$type": ["Tree"], "fields": {}}, "must hold values as speechgmm writes them"),
    "a list": ([], "must hold a value with a type; got one without"),
    "a mapping": ({"$dict": {}}, "must hold a value with a type; got one without"),
    "another mark": ({"$type": "Tree", "fields": {"content": {"a": 1}}}, "got an object with 'a'"),
    "array unknown": ({"$type": "Tree", "fields": {"content": {"$array": "x"}}}, "none of the name 'x'"),
    "float unknown": ({"$type": "Tree", "fields": {"content": {"$float": "1e9"}}}, "got an object with '$float'"),
    "deep": ({"$type": "Tree", "fields": {"content": forging.deep()}}, "must be nested at most 100 deep"),
}


@pytest.mark.parametrize(("body", "words"), STRANGE.values(), ids=STRANGE.keys())
def test_nodes_that_nothing_writes_are_refused(body: Any, words: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(words)):
        loads(forging.closed(body, {}), Tree, Leaf)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1, "format": 1}', '{"format": NaN}', '{"format": 1e999}'])
def test_json_that_is_none_or_too_deep_is_refused(text: str) -> None:
    from safetensors.numpy import save as to_bytes

    with pytest.raises(InvalidInput, match="must be a speechgmm file"):
        loads(to_bytes({}, metadata={"speechgmm": text}), Tree)


def test_arrays_of_other_types_are_refused() -> None:
    body, _ = forging.opened(dumps(Leaf(np.zeros(2))))
    with pytest.raises(InvalidInput, match="must hold arrays of bool, integer or float types; got 'array' of 'C64'"):
        loads(forging.closed(body, {"array": np.zeros(2, np.complex64)}), Leaf)


def test_what_holds_itself_or_is_too_deep_is_refused_when_saving() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in (endless, forging.deep()):
        with pytest.raises(InvalidInput, match="a stored value must be nested at most 100 deep"):
            dumps(Tree(value))
