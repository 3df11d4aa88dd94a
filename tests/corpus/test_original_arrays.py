"""Arrays of objects are read as they were saved, and hostile or damaged files end in one line, with nothing executed."""

from __future__ import annotations

import builtins
import contextlib
import copyreg
import io
import os
import pickle
import runpy
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tasks.common.errors import UserError
from tasks.corpus.array_pickle import RefusedError, read_object_array
from tasks.corpus.original_arrays import read_original_array
from tests.corpus.original_files_for_tests import (
    RECONSTRUCT,
    SCALAR,
    Reduced,
    array_of,
    box_row,
    box_rows,
    latents_of,
    npy,
    objects_of,
    saved,
    saved_by_numpy,
    saved_by_numpy_1,
    some_latents,
    type_of,
    write,
)


def read(folder: Path, data: bytes) -> NDArray[np.object_]:
    return read_original_array(write(folder, data))


def refusal(folder: Path, data: bytes) -> str:
    """The one line that reading ends in, without the path."""
    path = write(folder, data)
    with pytest.raises(UserError) as caught:
        read_original_array(path)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < len(str(path)) + 300
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert_same(found.tolist(), expected.tolist())
    elif isinstance(expected, list | tuple):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert_same(list(found.items()), list(expected.items()))
    else:
        assert found == expected


ARRAYS = [
    np.arange(6, dtype=code).reshape(2, 3) for code in ("f2", "f4", "f8", ">f2", ">f8", "i1", "i2", "<i4", ">i8", "u1", "u8")
]
ARRAYS += [
    np.zeros((0, 4), np.float16),
    np.array(2.5, np.float32),
    np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    np.array([True, False]),
]


@pytest.mark.parametrize("save", [saved_by_numpy, saved_by_numpy_1])
@pytest.mark.parametrize("array", ARRAYS, ids=[f"{array.dtype.str}{array.shape}" for array in ARRAYS])
def test_arrays_inside(array: NDArray[Any], save: Callable[[NDArray[Any]], bytes], tmp_path: Path) -> None:
    content = np.array({"array": array, "again": [array, (array,)]}, dtype=object)
    found = read(tmp_path, save(content))
    assert found.shape == ()
    assert_same(found[()], content[()])


@pytest.mark.parametrize("save", [saved_by_numpy, saved_by_numpy_1])
def test_plain_values(save: Callable[[NDArray[Any]], bytes], tmp_path: Path) -> None:
    values = [
        None,
        True,
        0,
        255,
        65536,
        -1,
        2**40,
        -(2**70),
        0.5,
        "",
        "grün\n",
        "x" * 300,
        b"",
        b"y" * 300,
        (),
        (1,),
        (1, 2),
    ]
    values += [(1, 2, 3), (1, 2, 3, 4), [], [1], [1, [2, "c"]], {}, {"a": 1}, {"a": 1, "b": []}]
    array = np.empty(len(values), dtype=object)
    array[:] = values
    assert_same(read(tmp_path, save(array)), array)


def test_numpy_numbers_become_plain_ones(tmp_path: Path) -> None:
    array = np.array([np.int64(7), np.float16(0.5), np.bool_(True), np.uint8(3)], dtype=object)
    found = read(tmp_path, saved_by_numpy(array))
    assert found.tolist() == [7, 0.5, True, 3]
    assert list(map(type, found)) == [int, float, bool, int]


@pytest.mark.parametrize("save", [saved_by_numpy, saved_by_numpy_1])
def test_order_and_shape_of_objects(save: Callable[[NDArray[Any]], bytes], tmp_path: Path) -> None:
    rows = box_rows(*(box_row(index) for index in range(3)))
    for array in (rows, np.asfortranarray(rows), rows[:0], rows[::2], rows[0]):
        found = read(tmp_path, save(array))
        assert found.shape == array.shape
        assert [cells[0] for cells in found.reshape(-1, 5)] == [cells[0] for cells in array.reshape(-1, 5)]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**200), 2**200) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(VALUES, max_size=5), by_numpy_1=st.booleans())
def test_any_values_come_back(values: list[Any], by_numpy_1: bool) -> None:
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        array[place] = value
    data = (saved_by_numpy_1 if by_numpy_1 else saved_by_numpy)(array)
    file = io.BytesIO(data[data.index(b"\n") + 1 :])
    assert_same(read_object_array(file).tolist(), values)


def attacks(canary: Path) -> dict[str, object]:
    """What runs code where it is unpickled; each would make the canary."""
    touch = f"touch {canary}"
    python = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    return {
        "os.system": Reduced(os.system, (touch,)),
        "eval": Reduced(builtins.eval, (python,)),
        "exec": Reduced(builtins.exec, (python,)),
        "getattr": Reduced(getattr, (canary, "touch")),
        "subprocess": Reduced(subprocess.check_call, (["touch", str(canary)],)),
        "attrgetter": Reduced(attrgetter, ("touch",)),
        "copyreg": Reduced(copyreg._reconstructor, (type(canary), object, None)),  # type: ignore[attr-defined]
        "numpy.load": Reduced(np.load, (str(canary), None, True)),
        "runpy": Reduced(runpy.run_path, (str(canary),)),
        "scalar of an object": Reduced(SCALAR, (np.dtype(object), Reduced(os.system, (touch,)))),
        "array of another class": Reduced(RECONSTRUCT, (np.memmap, (0,), b"b")),
        "type of a record": Reduced(np.dtype, ("f4,O", False, True)),
        "path": canary,
        "class": os.PathLike,
        "type": np.dtype([("a", "O")]),
    }


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("where", ["alone", "in the array", "as a state"])
def test_attacks_run_nothing(where: str, protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for attack in attacks(canary).values():
        content = {"alone": attack, "in the array": objects_of([1, attack]), "as a state": array_of((1,), attack)}[where]
        refusal(tmp_path, saved(content, protocol))
    assert not canary.exists()


def test_an_attack_would_work_where_it_is_unpickled(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle.loads(pickle.dumps(objects_of([attacks(canary)["os.system"]])))  # noqa: S301 - that is what must not happen
    assert canary.exists()


NAMES = [
    *("posix system", "nt system", "os system", "builtins eval", "builtins exec", "builtins getattr", "builtins __import__"),
    *("numpy load", "numpy.f2py compile", "numpy.testing._private.utils runstring", "numpy ndarray.__class__", "numpy f2py"),
    *("numpy dtype.__reduce__", "numpy.core.multiarray fromfile", "numpy.core.multiarray _reconstruct.__globals__"),
    *("numpy memmap", "numpy.lib.format read_array", "numpy._core.numeric _frombuffer", "_codecs encode", "pickle loads"),
    *("tasks.corpus.array_pickle _Name", "", "numpy", " ndarray", "numpy  ndarray", "numpy ndarray ", "numpy.core ndarray"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_no_array_needs(name: str, tmp_path: Path) -> None:
    module, _, word = name.partition(" ")
    parts = [pickle.SHORT_BINUNICODE + bytes([len(part)]) + part.encode() for part in (module, word)]
    for program in (f"c{module}\n{word}\n".encode(), b"".join(parts) + pickle.STACK_GLOBAL):
        data = npy(pickle.PROTO + b"\x04" + program + b"\x8c\x04true\x85R.")
        assert "which no array needs" in refusal(tmp_path, data)


@pytest.mark.parametrize(
    "program",
    [
        *(b"(iposix\nsystem\n.", b"(cposix\nsystem\nX\x02\x00\x00\x00ido.", b"cnumpy\nndarray\n)\x81.", b"\x82\x01."),
        *(
            b"\x83\x01\x00.",
            b"\x84\x01\x00\x00\x00.",
            b"Pposix\n.",
            b"\x8c\x01aQ.",
            b"cnumpy\nndarray\n)}\x92.",
            b"]]2.",
            b"\x97.",
        ),
        *(
            b"]0.",
            b"](1.",
            b"]\x8f.",
            b"S'a'\n.",
            b"I1\n.",
            b"L1L\n.",
            b"F1\n.",
            b"\x8b\x01\x00\x00\x00\x01.",
            b"(l.",
            b"(d.",
        ),
    ],
)
def test_commands_that_no_array_needs(program: bytes, tmp_path: Path) -> None:
    line = refusal(tmp_path, npy(b"\x80\x04" + program))
    assert "which no array needs" in line


NUMBERS = type_of("f2")
HOSTILE_STATES: dict[str, object] = {
    "too few bytes": array_of((1000, 1000), b"\0\0"),
    "too many bytes": array_of((1,), b"\0" * 4),
    "a negative side": array_of((-1, -1), b"\0\0"),
    "a huge side": array_of((2**62, 0), b""),
    "sides whose product overflows": array_of((2**31 - 1,) * 7 + (0,), b""),
    "more sides than numpy has": array_of((1,) * 65, b"\0\0"),
    "a side that is true": array_of((True,), b"\0\0"),
    "a side that is a fraction": array_of((1.0,), b"\0\0"),
    "a shape that is a list": array_of([1], b"\0\0"),
    "objects out of bytes": array_of((1,), b"\x10" * 8, type_of("O8", "|")),
    "numbers out of a list": array_of((1,), [1]),
    "fewer objects than told": objects_of([1], (2,)),
    "more objects than told": objects_of([1, 2], (1,)),
    "objects in objects": objects_of([objects_of([1])]),
    "texts without length": array_of((2**31 - 1,), b"", type_of("U0")),
    "texts of impossible characters": array_of((1,), b"\xff" * 8, type_of("U2")),
    "dates": array_of((1,), b"\0" * 8, type_of("M8[s]")),
    "anything": array_of((1,), b"\0" * 8, type_of("V8", "|")),
    "bytes": array_of((1,), b"\0" * 8, type_of("S8", "|")),
    "complex numbers": array_of((1,), b"\0" * 8, type_of("c8")),
    "a record": array_of((1,), b"\0" * 8, type_of("V8", "|", None, ("a",), {"a": (type_of("O8", "|"), 0)}, 8, 1, 0)),
    "numbers with a base": array_of((1,), b"\0\0", type_of("f2", "<", (NUMBERS, (2,)), None, None, -1, -1, 0)),
    "an unknown order": array_of((1,), b"\0\0", type_of("f2", "?")),
    "a type that is a text": array_of((1,), b"\0\0", "f2"),
    "a type without a state": array_of((1,), b"\0\0", Reduced(np.dtype, ("f2", False, True))),
    "a type that is a long text": array_of((1,), b"\0\0", type_of("f2" * 10_000)),
    "another version": array_of((1,), b"\0\0", version=2),
    "an unknown version": array_of((1,), b"\0\0", version="x"),
    "a version that is an array": array_of((1,), b"\0\0", version=array_of((2,), b"\0" * 4)),
    "an order that is a number": array_of((1,), b"\0\0", by_column=7),
    "no state at all": Reduced(RECONSTRUCT, (np.ndarray, (0,), b"b")),
    "a state that is empty": Reduced(RECONSTRUCT, (np.ndarray, (0,), b"b"), ()),
    "a state that is a number": Reduced(RECONSTRUCT, (np.ndarray, (0,), b"b"), 1),
    "a first size": Reduced(RECONSTRUCT, (np.ndarray, (2**40,), b"b"), 1),
    "a scalar with too few bytes": Reduced(SCALAR, (np.dtype("f8"), b"\0")),
    "a scalar with too many bytes": Reduced(SCALAR, (np.dtype("i1"), b"\0\0")),
    "a scalar of objects": Reduced(SCALAR, (np.dtype("O"), b"\0" * 8)),
    "a scalar text": Reduced(SCALAR, (np.dtype("U2"), b"\xff" * 8)),
    "keys that are numbers": {1: 2},
}


@pytest.mark.parametrize("name", HOSTILE_STATES)
def test_hostile_states(name: str, tmp_path: Path) -> None:
    state = HOSTILE_STATES[name]
    for content in (objects_of([state]), objects_of([{"latents": state}, 1]), state):
        for protocol in (3, 4):
            refusal(tmp_path, saved(content, protocol))


ARRAY = pickle.dumps(np.arange(2, dtype="f2"), protocol=4)[11:-1]
MAKE = ARRAY[: ARRAY.index(b"R") + 1]


@pytest.mark.parametrize(
    "program",
    [
        *(b".", b"", b"0.", b"a.", b"e.", b"(e.", b"u.", b"(u.", b"t.", b"\x85.", b"R.", b"b.", b"\x93.", b"\x94.", b"s."),
        *(b"]((e.", b"](K\x01t.", b"}(K\x01u.", b"}\x8c\x01au.", b"]K\x01e.", b"K\x01K\x02a.", b"]K\x01K\x02s."),
        *(b"j\xff\xff\xff\xff.", b"N.", b"].", b"}]K\x01s.", b"K\x01K\x02\x93.", b"\x8e" + b"\xff" * 8),
        *(b"B\xff\xff\xff\xff", b"\x8a\xff\x01", b"\x95" + b"\xff" * 8, b"\x8c\x02\xff\xff.", b"c\xff\n\xff\n.", b"c" * 99),
        *(MAKE + b".", b"]" + MAKE + b"a.", MAKE + b"\x94h\x09b.", MAKE + b"\x85.", MAKE + b"\x94" + MAKE + b"R."),
        *(ARRAY + b".", ARRAY + b"Nb.", ARRAY + b"(b.", b"cnumpy\nndarray\n.", b"cnumpy\nndarray\n)R."),
        *(b"]].", b"K\x01K\x02b.", b"h\x05.", b"\x8d" + b"\x7f" * 8, b"cnumpy\ndtype\nNR."),
    ],
)  # fmt: skip
def test_damaged_programs(program: bytes, tmp_path: Path) -> None:
    refusal(tmp_path, npy(b"\x80\x04" + program))


def test_every_cut_is_noticed(tmp_path: Path) -> None:
    for whole in (saved_by_numpy(box_rows(box_row())), saved_by_numpy_1(latents_of([1], some_latents(1)))):
        for length in range(0, len(whole), 3):
            refusal(tmp_path, whole[:length])
        assert "goes on behind its end" in refusal(tmp_path, whole + b"\0")
        assert read(tmp_path, whole).size


@settings(max_examples=500, deadline=None)
@given(data=st.data())
def test_damage_ends_in_a_refusal_or_in_an_array(data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps(box_rows(box_row()), protocol=data.draw(st.sampled_from([3, 4]))))
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(RefusedError):
        assert read_object_array(io.BytesIO(bytes(whole))).dtype == object


PIECES = [bytes([code]) for code in b"()].}NahbtuesR\x85\x86\x87\x88\x89\x93\x94"]
PIECES += [
    b"K\x01",
    b"h\x00",
    b"h\x01",
    b"q\x01",
    b"cnumpy\nndarray\n",
    b"cnumpy\ndtype\n",
    b"cnumpy.core.multiarray\nscalar\n",
]
PIECES += [b"cnumpy.core.multiarray\n_reconstruct\n", b"\x8c\x02f2", b"C\x01b", b"C\x02\0\0", MAKE, ARRAY, b"\x8c\x01<"]


@settings(max_examples=1000, deadline=None)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=40))
def test_any_program_ends_in_a_refusal_or_in_an_array(pieces: list[bytes]) -> None:
    with contextlib.suppress(RefusedError):
        assert read_object_array(io.BytesIO(b"".join(pieces) + b".")).dtype == object


def test_deep_lists_are_no_trouble(tmp_path: Path) -> None:
    depth = 300_000
    deep = pickle.dumps(objects_of([7]), protocol=4).replace(b"K\x07", b"]" * depth + b"a" * (depth - 1))
    found = read(tmp_path, npy(deep))
    levels, level = 0, found[0]
    while level:
        levels, level = levels + 1, level[0]
    assert levels == depth - 1


def test_a_list_in_itself_is_no_trouble(tmp_path: Path) -> None:
    knot: list[object] = []
    knot.append(knot)
    found = read(tmp_path, saved(objects_of([knot])))
    assert found[0][0] is found[0]


def test_commands_are_counted() -> None:
    program = pickle.dumps(np.array([1, 2, 3], dtype=object), protocol=4)
    assert read_object_array(io.BytesIO(program), most_commands=1000).tolist() == [1, 2, 3]
    with pytest.raises(RefusedError, match="more than 20 commands"):
        read_object_array(io.BytesIO(program), most_commands=20)


def test_memory_follows_the_size_of_the_file(tmp_path: Path) -> None:
    """Lengths and sizes that a file only claims reserve nothing."""
    claims = [b"\x8e" + (2**40).to_bytes(8, "little"), b"B\xff\xff\xff\xff", b"\x8d" + (2**40).to_bytes(8, "little")]
    contents = [npy(b"\x80\x04" + claim + b"abc") for claim in claims]
    contents += [saved(objects_of([array_of((2**30, 2**30), b"")])), saved(objects_of([1], (2**30,)))]
    tracemalloc.start()
    for content in contents:
        refusal(tmp_path, content)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 5_000_000


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a.npy", saved_by_numpy(np.array([1], dtype=object)))
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty"),
        (archive(), "is an .npz archive"),
        (saved_by_numpy(some_latents(2)), "holds <f2 (2, 4, 2, 2), not objects"),
        (saved_by_numpy(np.array(["a"])), "holds <U1 (1,), not objects"),
        (pickle.dumps(np.array([1], dtype=object)), "is not a .npy file"),
        (b"garbage\n" * 100, "is not a .npy file"),
        (b"\x93NUMPY", "is not a .npy file"),
        (b"\x93NUMPY\x02\x00" + b"\xff" * 20, "is not a .npy file"),
        (npy(b"", "O,O"), "damaged header"),
        (npy(b"", "|O", "'" + "x" * 2000 + "'"), "damaged header"),
        (npy(b"", "|O", "(" * 400), "damaged header"),
        (npy(b"", "|O", "-" * 800 + "1"), "damaged header"),
        (npy(b"", "|O", "(1,), 'more': 1"), "damaged header"),
        (npy(b"", "|O", "__import__('os').system('touch canary')"), "damaged header"),
        (npy(b"", "V99999999999999999999"), "damaged header"),
        (npy(b"", "|O\\0\\n"), "damaged header"),
        (npy(b"\x80\x04."), "is damaged or cut off"),
    ],
)
def test_other_files(data: bytes, what: str, tmp_path: Path) -> None:
    assert what in refusal(tmp_path, data)


def test_sizes_folders_and_missing_files(tmp_path: Path) -> None:
    path = write(tmp_path, saved_by_numpy(box_rows(box_row())))
    size = path.stat().st_size
    assert read_original_array(path, most_bytes=size).shape == (1, 5)
    for wrong, most, what in (
        (path, size - 1, "is larger than"),
        (tmp_path, size, "is a folder"),
        (tmp_path / "x", 1, "not there"),
    ):
        with pytest.raises(UserError, match=what):
            read_original_array(wrong, most_bytes=most)
