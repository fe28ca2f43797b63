"""Which variables were asked for: by Python code, and by libraries through getenv."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from typing import Any


class Asked:
    """Notes each variable that is asked for, from now on."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._copied: list[str] = []
        self._library = ctypes.CDLL(None)
        self._taken = 0
        if hasattr(self._library, "oracle_asked_name"):
            self._library.oracle_asked_name.restype = ctypes.c_char_p
            self._library.oracle_asked_forget()
        self._watch_python()

    def news(self) -> list[str]:
        """Return the names that were asked for since the last call."""
        found = [*self._names]
        self._names.clear()
        if hasattr(self._library, "oracle_asked_count"):
            count = self._library.oracle_asked_count()
            for index in range(self._taken, count):
                name = self._library.oracle_asked_name(index)
                found.append(name.decode(errors="replace") if name else "")
            self._taken = count
        return list(dict.fromkeys(found))

    def _watch_python(self) -> None:
        """Note every question to os.environ, but not the copying of all of it."""
        kind: Any = type(os.environ)
        get: Callable[[Any, str], str] = kind.__getitem__
        names: Callable[[Any], Iterator[str]] = kind.__iter__

        def getitem(environ: Any, name: str) -> str:
            if self._copied and name == self._copied[0]:  # the next one of a copy
                self._copied.pop(0)
            elif isinstance(name, str):
                self._copied.clear()
                self._names.append(name)
            return get(environ, name)

        def iterate(environ: Any) -> Iterator[str]:
            self._copied = list(names(environ))
            return iter([*self._copied])

        kind.__getitem__ = getitem
        kind.__iter__ = iterate
