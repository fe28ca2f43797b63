"""What the parsers share: CPU lists, sysfs choices, and how a failed read becomes a fact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from trimtab.errors import HostError
from trimtab.host import Host
from trimtab.model import Fact, Value

T = TypeVar("T")


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """Parse the kernel's list format ("0-3,8,10-11") into sorted CPU numbers.

    Raises:
        ValueError: the text is not such a list.
    """
    cpus: set[int] = set()
    for part in text.strip().split(","):
        if not part:
            continue
        first, dash, last = part.partition("-")
        low, high = int(first), int(last) if dash else int(first)
        if high < low:
            raise ValueError(f"a CPU range must rise, but got {part!r}")
        cpus.update(range(low, high + 1))
    return tuple(sorted(cpus))


def format_cpu_list(cpus: Sequence[int]) -> str:
    """Return CPU numbers in the kernel's list format; the inverse of `parse_cpu_list`."""
    spans: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if spans and spans[-1][1] == cpu - 1:
            spans[-1][1] = cpu
        else:
            spans.append([cpu, cpu])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)


def selected_word(text: str) -> str:
    """Return the chosen word of a sysfs choice ("always [madvise] never"), else the text."""
    for word in text.split():
        if word.startswith("[") and word.endswith("]"):
            return word[1:-1]
    return text.strip()


def is_same_value(one: Value, other: Value) -> bool:
    """Whether two values of a configuration mean the same: "torch.float32" and "float32"."""
    return _word(one) == _word(other)


def _word(value: Value) -> str:
    return str(value).removeprefix("torch.").lower()


def read_fact(host: Host, path: str, parse: Callable[[str], T | None]) -> Fact[T]:
    """Read a file and parse it; a failed read or parse is an unknown with its reason.

    ``parse`` returns ``None`` when the text does not hold the value.
    """
    try:
        value = parse(host.read(path))
    except HostError as error:
        return Fact.unknown(path, str(error))
    except ValueError as error:
        return Fact.unknown(path, f"cannot be parsed: {error}")
    if value is None:
        return Fact.unknown(path, "does not say")
    return Fact(value, path)


def run_fact(
    host: Host, argv: Sequence[str], parse: Callable[[str], T | None], timeout: float = 10.0
) -> Fact[T]:
    """Run a command and parse its output; failure is an unknown with its reason.

    ``timeout`` is in seconds: a command that hangs (a driver that does) becomes an unknown.
    """
    source = " ".join(argv)
    try:
        value = parse(host.run(argv, timeout))
    except HostError as error:
        return Fact.unknown(source, str(error))
    except ValueError as error:
        return Fact.unknown(source, f"cannot be parsed: {error}")
    if value is None:
        return Fact.unknown(source, "does not say")
    return Fact(value, source)
