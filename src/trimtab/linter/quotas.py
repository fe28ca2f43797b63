"""CPUs that a container is made with: its quota, and the CPUs that it may run on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from trimtab.model.document import Container, Launch, Setting


def quota(launch: Launch) -> float | None:
    """Return the CPUs whose time a launch gets; ``None`` where nothing limits it."""
    options = launch.container.options if launch.container is not None else ()
    found = [*_quotas(options), *(() if launch.cpu_quota is None else (launch.cpu_quota,))]
    return min((one for one in found if one > 0), default=None)


def _quotas(options: Sequence[Setting]) -> Iterator[float]:
    given = {one.name: one.value.strip() for one in options}
    for one in options:
        if one.name == "--cpus":
            yield from _number(one.value)
        elif one.name == "--resource" and one.value.startswith("cpu="):
            yield from _number(one.value.removeprefix("cpu="))
    period = next(_number(given.get("--cpu-period", "100000")), 0.0)
    for microseconds in _number(given.get("--cpu-quota", "")):
        yield microseconds / period if period else 0.0


def _number(text: str) -> Iterator[float]:
    """Yield the CPUs of "1.5", or of Kubernetes' "1500m"."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})(m?)", text.strip().strip("'\""))
    if match is not None:
        yield float(match[1]) / (1000 if match[2] else 1)


def percent(text: str) -> float | None:
    """Return the CPUs of systemd's ``CPUQuota=150%``; ``None`` for none."""
    match = re.fullmatch(r"(\d{1,7}(?:\.\d+)?)%", text.strip())
    return float(match[1]) / 100 if match is not None else None


def cpuset(container: Container | None) -> str:
    """Return the list of CPUs that a container may run on, as written; "" for none."""
    options = container.options if container is not None else ()
    named = (one.value for one in options if one.name == "--cpuset-cpus" and one.literal)
    return next(named, "").strip("'\"")
