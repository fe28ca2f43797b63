"""Files for the host, sysctl.d and TuneD, and back: they carry host writes only."""

from __future__ import annotations

from trimtab.errors import StudyError
from trimtab.export.heading import comment, heading
from trimtab.export.order import Carried, Order
from trimtab.hosting.render import (
    Rendered,
    parse_sysctl_d,
    parse_tuned_profile,
    sysctl_d,
    tuned_profile,
)
from trimtab.model import Settings

SYSCTL = "90-trimtab.conf"
TUNED = "tuned.conf"

_EMPTY = Settings(())


def absent_sysctl(order: Order) -> str:
    """Return why there is no file for sysctl.d; "" if there is one."""
    writes = order.profile.plan.writes
    if len(sysctl_d(writes).left_out) < len(writes):
        return ""
    return "the plan sets no kernel parameter under /proc/sys"


def absent_tuned(order: Order) -> str:
    """Return why there is no TuneD profile; "" if there is one."""
    writes = order.profile.plan.writes
    if len(tuned_profile(writes, "").left_out) < len(writes):
        return ""
    return "the plan sets nothing of the host that TuneD could"


def render_sysctl(order: Order) -> str:
    """Return the file for /etc/sysctl.d."""
    return _written(
        order,
        sysctl_d(order.profile.plan.writes),
        "kernel parameters for sysctl.d",
        f"rm /etc/sysctl.d/{SYSCTL}; trimtab host rollback, or a reboot, for the values before",
        (
            f"Put it into /etc/sysctl.d/{SYSCTL} (root, 0644); it acts at every boot, and now by:",
            f"sysctl --load /etc/sysctl.d/{SYSCTL}",
        ),
    )


def render_tuned(order: Order) -> str:
    """Return the TuneD profile."""
    name = f"trimtab-{order.name}"
    return _written(
        order,
        tuned_profile(order.profile.plan.writes, f"trimtab: {order.profile.name} for vLLM"),
        "TuneD profile",
        f"tuned-adm off (TuneD puts the values before back); rm -r /etc/tuned/{name}",
        (
            f"Put it into /etc/tuned/{name}/{TUNED} (root, 0644), then: tuned-adm profile {name}",
            "TuneD has one profile at a time: 'include=' in [main] keeps another one's settings.",
        ),
    )


def _written(order: Order, made: Rendered, what: str, undo: str, use: tuple[str, ...]) -> str:
    left = [f"{one.path}: {reason}" for one, reason in made.left_out]
    without = {one.path for one, _ in made.left_out}
    done = {one.path for one in order.profile.plan.writes} - without
    more = (*use, "It starts no server: serve.sh, the unit and the containers do.", *left)
    return comment(heading(order, what, undo, done=done, more=more)) + "\n" + made.text


def parse_sysctl(text: str) -> Carried:
    """Return the host writes of a sysctl.d file.

    Raises:
        StudyError: it is none.
    """
    try:
        return Carried(_EMPTY, parse_sysctl_d(text))
    except ValueError as error:
        raise StudyError(f"{SYSCTL} must be as trimtab wrote it, but: {error}") from error


def parse_tuned(text: str) -> Carried:
    """Return the host writes of a TuneD profile.

    Raises:
        StudyError: it is none.
    """
    try:
        return Carried(_EMPTY, parse_tuned_profile(text))
    except ValueError as error:
        raise StudyError(f"{TUNED} must be as trimtab wrote it, but: {error}") from error
