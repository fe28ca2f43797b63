"""Files for the host, sysctl.d and TuneD, and back: they carry host writes only."""

from __future__ import annotations

import shlex

from trimtab.errors import StudyError
from trimtab.export.heading import comment, heading, host_command
from trimtab.export.order import Artefact, Order, ParsedArtefact
from trimtab.host_settings.render import (
    RenderedFile,
    parse_sysctl_d,
    parse_tuned_profile,
    sysctl_d,
    sysctl_name,
    tuned_profile,
)
from trimtab.model import Settings

SYSCTL = "99-trimtab-vllm.conf"
"""Read after distributions' ``99-sysctl.conf``: of files that set one name, the last one by
alphabet wins (sysctl.d(5)). ``trimtab host apply --persist sysctl`` writes ``99-trimtab.conf``."""

TUNED = "tuned.conf"

_BEFORE = "/root/before-trimtab.sysctl"
_PROFILE_BEFORE = "/root/before-trimtab.tuned"
"""Where the values before are noted, by the commands that the files name."""

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
    made = sysctl_d(order.profile.plan.writes)
    names = " ".join(shlex.quote(sysctl_name(write.path)) for write in parse_sysctl_d(made.text))
    return _written(
        order,
        made,
        "kernel parameters for sysctl.d",
        f"rm /etc/sysctl.d/{SYSCTL}; sysctl --load {_BEFORE}",
        (
            "As root, first note the values before, for the rollback above:",
            f"sysctl {names} > {_BEFORE}",
            f"Then put it into /etc/sysctl.d/{SYSCTL} (0644); it acts at every boot, and now by:",
            f"sysctl --load /etc/sysctl.d/{SYSCTL}",
            "(sysctl names what a kernel lacks, and goes on with the rest.)",
            "Or let trimtab note, set and take back all of the plan, in place of this file:",
            f"{host_command(order, 'apply')} --persist sysctl",
        ),
    )


def render_tuned(order: Order) -> str:
    """Return the TuneD profile."""
    name = f"trimtab-{order.name}"
    return _written(
        order,
        tuned_profile(order.profile.plan.writes, f"trimtab: {order.profile.name} for vLLM"),
        "TuneD profile",
        f"tuned-adm profile $(cat {_PROFILE_BEFORE}); rm -r /etc/tuned/{name}",
        (
            "As root, first note the profile that is active, for the rollback above:",
            f"cp /etc/tuned/active_profile {_PROFILE_BEFORE}",
            "(Where it is empty or absent none is active, and the way back is: tuned-adm off)",
            f"Then put it into /etc/tuned/{name}/{TUNED} (0644): tuned-adm profile {name}",
            "TuneD has one profile at a time: 'include=' in [main] keeps another one's settings.",
        ),
    )


def _written(order: Order, made: RenderedFile, what: str, undo: str, use: tuple[str, ...]) -> str:
    left = [f"{write.path}: {reason}" for write, reason in made.left_out]
    without = {write.path for write, _ in made.left_out}
    done = {write.path for write in order.profile.plan.writes} - without
    more = (*use, "It starts no server: serve.sh, the unit and the containers do.", *left)
    verify = (
        host_command(order, "plan") if order.preset else ""
    )  # says 'already' for what is in effect
    said = heading(order, what, undo, done=done, more=more, verify=verify)
    return comment(said) + "\n" + made.text


def parse_sysctl(text: str) -> ParsedArtefact:
    """Return the host writes of a sysctl.d file.

    Raises:
        StudyError: it is none.
    """
    try:
        return ParsedArtefact(_EMPTY, parse_sysctl_d(text))
    except ValueError as error:
        raise StudyError(f"{SYSCTL} must be as trimtab wrote it, but: {error}") from error


def parse_tuned(text: str) -> ParsedArtefact:
    """Return the host writes of a TuneD profile.

    Raises:
        StudyError: it is none.
    """
    try:
        return ParsedArtefact(_EMPTY, parse_tuned_profile(text))
    except ValueError as error:
        raise StudyError(f"{TUNED} must be as trimtab wrote it, but: {error}") from error


FORMATS = {
    "sysctl": (Artefact(SYSCTL, render_sysctl, parse_sysctl, absent_sysctl, summary="sysctl.d"),),
    "tuned": (Artefact(TUNED, render_tuned, parse_tuned, absent_tuned, summary="TuneD profile"),),
}
