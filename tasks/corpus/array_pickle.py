"""Arrays of objects out of pickles, without unpickling: nothing in a file can run.

A pickle is a program for a stack machine. The machine here knows only the commands that make lists, tuples, dictionaries,
texts, numbers and arrays. It looks names up in a small table, where they stand for steps of this module, never for anything
imported. Any other command or name ends the reading.

A command makes at most one small object, arrays of numbers are views of the file's own bytes, and the number of commands is
limited; so the memory that a file can take is, too. There is no recursion, however deep a file nests its lists.
"""

from __future__ import annotations

import io
import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.common.quarantine import printable

MOST_COMMANDS = 20_000_000
_MOST_SIDE = 2**31
_MOST_AXES = 8
_TYPE = re.compile(r"f[248]|[iu][1248]|b1|O8?")


class RefusedError(Exception):
    """What in the file is not taken, as the end of a sentence that begins with the file."""


class _Name(Enum):
    RECONSTRUCT = auto()
    SCALAR = auto()
    ARRAY = auto()
    TYPE = auto()


_NAMES = {
    "numpy.core.multiarray _reconstruct": _Name.RECONSTRUCT,
    "numpy._core.multiarray _reconstruct": _Name.RECONSTRUCT,
    "numpy.core.multiarray scalar": _Name.SCALAR,
    "numpy._core.multiarray scalar": _Name.SCALAR,
    "numpy ndarray": _Name.ARRAY,
    "numpy dtype": _Name.TYPE,
}


@dataclass(eq=False, slots=True)
class _Unbuilt:
    """An array or its type, whose content comes with a later command; nothing may hold it before that."""

    build: Callable[[Any], Any]
    value: Any = None


def read_object_array(file: io.BytesIO, most_commands: int = MOST_COMMANDS) -> NDArray[np.object_]:
    """The array of objects that the rest of `file` describes; arrays inside it are read-only.

    Raises:
        RefusedError: the rest is damaged, too long, or has anything but arrays, lists, tuples, dictionaries whose keys are
            texts, texts, bytes and numbers.
    """
    machine = _Machine()
    try:
        for number, (command, argument, _) in enumerate(pickletools.genops(file)):
            if number >= most_commands:
                raise RefusedError(f"has more than {most_commands} commands")
            if command.name in _PUSHED:
                machine.stack.append(argument)
            elif command.name in _COMMANDS:
                _COMMANDS[command.name](machine, argument)
            else:
                raise RefusedError(f"has the command {command.name}, which no array needs")
        result = machine.pop()
    except (ValueError, IndexError, KeyError):
        raise RefusedError("is damaged or cut off") from None
    if machine.stack or file.read(1):
        raise RefusedError("goes on behind its end")
    if not isinstance(result, np.ndarray) or result.dtype.kind != "O":
        raise RefusedError(f"holds a {type(result).__name__}, not an array of objects")
    return result


class _Machine:
    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.has_objects = False

    def pop(self) -> Any:
        return _finished(self.stack.pop())

    def pop_to_mark(self) -> list[Any]:
        mark = self.marks.pop()
        items = [_finished(item) for item in self.stack[mark:]]
        del self.stack[mark:]
        return items

    def top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise RefusedError("changes something other than a list, a dictionary or a new array")
        return self.stack[-1]

    def extend(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def update(self, items: list[Any]) -> None:
        target = self.top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):
                raise RefusedError("has a dictionary whose keys are not texts")
            target[key] = value

    def make_tuple(self, size: int) -> None:
        items = [self.pop() for _ in range(size)]
        self.stack.append(tuple(reversed(items)))

    def memoize(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def name(self, words: str) -> None:
        if words not in _NAMES:
            raise RefusedError(f"asks for `{printable(words.replace(' ', '.', 1), 80)}`, which no array needs")
        self.stack.append(_NAMES[words])

    def name_from_stack(self) -> None:
        name, module = self.pop(), self.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedError("asks for a name that is not a text")
        self.name(f"{module} {name}")

    def call(self) -> None:
        arguments, function = self.pop(), self.pop()
        match function, arguments:
            case _Name.RECONSTRUCT, (_Name.ARRAY, (0,), b"b"):
                self.stack.append(_Unbuilt(self.array))
            case _Name.TYPE, (str(code), False, True) if _TYPE.fullmatch(code):
                self.stack.append(_Unbuilt(partial(_type, code)))
            case _Name.SCALAR, (np.dtype() as kind, bytes(data)) if kind.kind in "fiub":
                self.stack.append(_values((), kind, data, "C").item())
            case _:
                raise RefusedError("makes something other than an array of numbers or objects")

    def build(self) -> None:
        state, unbuilt = self.pop(), self.top(_Unbuilt)
        if unbuilt.value is not None:
            raise RefusedError("fills an array twice")
        unbuilt.value = unbuilt.build(state)

    def array(self, state: Any) -> NDArray[Any]:
        match state:
            case (1, tuple(shape), np.dtype() as kind, bool(by_column), bytes(data)) if kind.kind != "O":
                return _values(_checked(shape), kind, data, "F" if by_column else "C")
            case (1, tuple(shape), np.dtype() as kind, bool(), list(items)) if kind.kind == "O" and not self.has_objects:
                self.has_objects = True
                return _objects(_checked(shape), items)
        raise RefusedError("has an array of an unknown form")


def _finished(item: Any) -> Any:
    if not isinstance(item, _Unbuilt):
        return item
    if item.value is None:
        raise RefusedError("uses an array before it is filled")
    return item.value


def _checked(shape: tuple[Any, ...]) -> tuple[int, ...]:
    if len(shape) > _MOST_AXES or any(type(side) is not int or not 0 <= side < _MOST_SIDE for side in shape):
        raise RefusedError("has an array of an impossible shape")
    return shape


def _type(code: str, state: Any) -> np.dtype[Any]:
    match state:
        case (3, "<" | ">" | "|" as order, None, None, None, int(), int(), int()):
            return np.dtype(code).newbyteorder(order)
    raise RefusedError("has an array of an unknown type")


def _values(shape: tuple[int, ...], kind: np.dtype[Any], data: bytes, order: Any) -> NDArray[Any]:
    if math.prod(shape) * kind.itemsize != len(data):
        raise RefusedError(f"has {len(data)} bytes for an array of another size")
    return np.ndarray(shape, kind, buffer=data, order=order)


def _objects(shape: tuple[int, ...], items: list[Any]) -> NDArray[np.object_]:
    if math.prod(shape) != len(items):
        raise RefusedError(f"has {len(items)} objects for an array of another size")
    array = np.empty(len(items), dtype=object)
    for place, item in enumerate(items):
        array[place] = item
    return array.reshape(shape)


_PUSHED = frozenset(
    {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"}
    | {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
)
_COMMANDS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, version: None,
    "FRAME": lambda machine, size: None,
    "STOP": lambda machine, _: None,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "APPEND": lambda machine, _: machine.extend([machine.pop()]),
    "APPENDS": lambda machine, _: machine.extend(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.update([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.update(machine.pop_to_mark()),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "MEMOIZE": _Machine.memoize,
    "BINPUT": _Machine.memoize,
    "LONG_BINPUT": _Machine.memoize,
    "BINGET": _Machine.recall,
    "LONG_BINGET": _Machine.recall,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": lambda machine, _: machine.name_from_stack(),
    "REDUCE": lambda machine, _: machine.call(),
    "BUILD": lambda machine, _: machine.build(),
}
