"""Functions that are given to torch's compiler when they are first called.

A decorator of torch's compiler imports the compiler, which takes longer than all of vLLM, and no
check calls what is decorated.
"""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterator
from typing import Any

_DECORATORS = ("disable", "allow_in_graph", "assume_constant_result")
"""Those of ``torch.compiler``."""


@contextlib.contextmanager
def compiled_when_called(torch: Any) -> Iterator[None]:
    """Meanwhile what is decorated for the compiler waits for its first call."""
    places = [(torch, "compile"), *((torch.compiler, name) for name in _DECORATORS)]
    with contextlib.ExitStack() as put_back:
        for module, name in places:
            decorator = getattr(module, name)
            put_back.callback(setattr, module, name, decorator)
            setattr(module, name, _waiting(decorator))
        yield


def _waiting(decorator: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(decorator)
    def decorate(function: Any = None, *args: Any, **named: Any) -> Any:
        if function is None:
            return lambda given: decorate(given, *args, **named)
        if not isinstance(function, types.FunctionType):
            return decorator(function, *args, **named)
        made = functools.cache(lambda: decorator(function, *args, **named))

        @functools.wraps(function)
        def call(*given: Any, **options: Any) -> Any:
            return made()(*given, **options)

        return call

    return decorate
