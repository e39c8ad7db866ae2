"""Which recorder the log records of a context go to: the part of `bound()` that knows contexts, tasks and generators.

A context variable holds the innermost binding. It is not enough: a generator runs in the context of the code that
iterates it. So what a generator binds is seen by that code between two steps, the generator may be continued in another
context, and it may end in a third one, such as that of the garbage collector. Therefore a binding can be ended from
anywhere, and the frame of a generator counts more than the context.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ContextDecorator
from contextvars import ContextVar, Token
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from types import FrameType
from typing import Any, Generic, TypeVar

from ._locks import named_lock

_T = TypeVar("_T")

_GENERATORS = CO_GENERATOR | CO_ASYNC_GENERATOR
# The instructions of a `for` loop and of `yield from`.
_CACHE = dis.opmap["CACHE"]
_ITERATING = frozenset(dis.opmap[name] for name in ("FOR_ITER", "SEND") if name in dis.opmap)


class _Binding:
    """One `with` block, as contexts hold it.

    Attributes:
        value: what is bound.
        is_over: whether the block has ended in another context than it began in. Then no context is bound by it. If
            it ends in its own, contexts that were copied from within stay bound: those of tasks that outlive the block.
        outer: the binding around it, in the context where it began.
        frame: the id of the frame of the block, which lives as long as the block does.
        is_generator: whether that frame is a generator's.
        is_stream: whether the generator is iterated by code that is not part of the block.
        token: tells the context where it began from copies of it; `None` after the end.
    """

    __slots__ = ("frame", "is_generator", "is_over", "is_stream", "outer", "token", "value")

    def __init__(self, value: Any, frame: FrameType) -> None:
        self.value = value
        self.is_over = False
        self.outer = _first(_innermost.get())
        self.frame = id(frame)
        self.is_generator = bool(frame.f_code.co_flags & _GENERATORS)
        self.is_stream = self.is_generator and _is_iterated(frame)
        self.token: Token[_Binding | None] | None = _innermost.set(self)

    def is_of_this_context(self) -> bool:
        """Return whether this is the context in which the block began, and not a copy of it."""
        if self.token is None:
            return False
        top = _innermost.get()
        try:
            _innermost.reset(self.token)
        except (ValueError, RuntimeError):  # the latter after an interrupt within this method
            return False
        self.token = _innermost.set(top)
        return True


_innermost: ContextVar[_Binding | None] = ContextVar("rolloutlog_bound", default=None)

# The bindings that generators made and that have not ended, by the id of the generator's frame. There are none in most
# programs, which therefore do not look at frames. The lock "bindings" is held for the few instructions that change it.
_of_generators: dict[int, list[_Binding]] = {}


class Bound(AbstractContextManager[_T], ContextDecorator, Generic[_T]):
    """A context manager that binds *value* to the context; leaving it never raises.

    Like those of `contextlib.contextmanager` it can be entered once, and be a decorator any number of times.
    """

    def __init__(self, value: _T) -> None:
        self._value = value
        self._is_entered = False
        self._binding: _Binding | None = None

    def _recreate_cm(self) -> Bound[_T]:
        return Bound(self._value)

    def __enter__(self) -> _T:
        if self._is_entered:
            raise RuntimeError("bound() was entered before; call it again for each `with`")
        self._is_entered = True
        binding = self._binding = _Binding(self._value, _frame_of_block(sys._getframe(1)))
        if binding.is_generator:
            with named_lock("bindings"):
                _of_generators.setdefault(binding.frame, []).append(binding)
        return self._value

    def __exit__(self, *exc_info: object) -> None:
        binding = self._binding
        if binding is None:
            return
        self._binding = None
        if binding.is_generator:
            _forget(binding)
        top = _innermost.get()
        if not binding.is_of_this_context():
            binding.is_over = True
        binding.token = None  # it holds that context
        if top is binding:
            _innermost.set(_first(binding.outer))
            return
        for inner in _outwards(top):  # a block that began later is still open
            if inner.outer is binding:
                inner.outer = binding.outer

    def __del__(self) -> None:
        # Of a generator that ended without leaving the block: its frame's id may soon be another one's.
        self.__exit__()


def _forget(binding: _Binding) -> None:
    with named_lock("bindings"):
        bindings = _of_generators.get(binding.frame, [])
        if binding in bindings:
            bindings.remove(binding)
        if not bindings:
            _of_generators.pop(binding.frame, None)


def bound() -> Any:
    """Return what is bound for the code that calls, or `None`.

    That is the innermost block of the context. If the code is part of a generator that is in a block, it is that block,
    unless another one began inside it.
    """
    binding = _innermost.get()
    if not _of_generators:
        return _value(_first(binding))
    frames = _frames(sys._getframe(1))
    inner = _applying(binding, frames)
    for index, frame in enumerate(frames):
        if frame in _of_generators and (here := _last(frame)) is not None:
            if inner is None or here not in _outwards(inner) or inner.frame in frames[index + 1 :]:
                return here.value
            break
    return _value(inner)


def _value(binding: _Binding | None) -> Any:
    return None if binding is None else binding.value


def _first(binding: _Binding | None) -> _Binding | None:
    """Return *binding*, or the first around it that is not over."""
    while binding is not None and binding.is_over:
        binding = binding.outer
    return binding


def _last(frame: int) -> _Binding | None:
    """Return the innermost binding of the generator that has *frame*."""
    return next(reversed(_of_generators.get(frame, ())), None)


def _outwards(binding: _Binding | None) -> Iterator[_Binding]:
    while binding is not None:
        yield binding
        binding = binding.outer


def _applying(binding: _Binding | None, frames: list[int]) -> _Binding | None:
    """Return the innermost binding of the context that applies to code that has *frames*.

    One of a generator that waits to be continued does not apply to the code that iterates it. It does apply in contexts
    that were copied from it, such as those of the tasks that it started.
    """
    for each in _outwards(binding):
        if each.is_over or (each.is_stream and each.frame not in frames and each.is_of_this_context()):
            continue
        return each
    return None


def _frames(frame: FrameType | None) -> list[int]:
    """Return the ids of *frame* and of those that called it."""
    frames = []
    while frame is not None:
        frames.append(id(frame))
        frame = frame.f_back
    return frames


def _frame_of_block(frame: FrameType) -> FrameType:
    """Return the frame that has the `with` block, if the code in *frame* enters it.

    A generator that contextlib made a context manager of is entered by a `with` block elsewhere.
    """
    while (caller := frame.f_back) is not None:
        if not _is_contextlib(frame) and not (frame.f_code.co_flags & _GENERATORS and _is_contextlib(caller)):
            break
        frame = caller
    return frame


def _is_contextlib(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == "contextlib"


def _is_iterated(generator: FrameType) -> bool:
    """Return whether a loop continues *generator*, not a call such as ``next(fixture)`` that begins a block."""
    if generator.f_code.co_flags & CO_ASYNC_GENERATOR:
        return True
    caller = generator.f_back
    if caller is None:
        return False
    code, place = caller.f_code.co_code, caller.f_lasti
    while code[place] == _CACHE and place > 0:  # Python 3.12 continues a generator after the cache of the instruction
        place -= 2
    return code[place] in _ITERATING
