"""The rule about the version of torch_npu: what the one at hand does not know yet, or any more."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab.catalog import Rule, Scene, Tuning
from trimtab.catalog.torch_npu_versions import life, torch_npu
from trimtab.knobs import Env, EnvList
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.rules.entry_rules import literal_text

RULE = Rule(
    id="torch-npu-version",
    severity=Severity.ERROR,
    problem=Problem.WRONG_VALUE,
    summary="The version of torch_npu in force does not take the setting, but another one does.",
)


def check(tuning: Tuning, scene: Scene) -> Iterator[Hit]:
    """Yield a hit where a version that was asked, or the nearest ones, do not take a setting."""
    version, text = scene.version("torch-npu"), literal_text(tuning, scene)
    if not version or text is None or not isinstance(tuning.knob, Env | EnvList):
        return
    told = torch_npu()
    place = _as_written(tuning.knob, text)
    refusing = told.refusing(tuning.name, place)
    like = told.like(version)
    against = [one for one in like if one in refusing]
    lives = life([one for one in told.versions if one not in refusing], against, told.versions)
    if not lives:
        return  # taken here, or by none: a matter of the value, not of the version
    known = tuning.name not in told.known or against[0] in told.known[tuning.name]
    what = f"this value of {tuning.knob.place}" if known else tuning.knob.place
    sure = len(against) == len(like) and not told.beyond(version)
    yield Hit(
        tuning.knob.setting,
        f"torch_npu {against[0]} does not take {what}, which is taken {lives} (oracle matrix)",
        fix=f"take it out, or use a torch_npu that takes it: {lives}",
        given="" if sure else f"torch_npu {version} is as {against[0]}",
    )


def _as_written(knob: Env | EnvList, text: str) -> str:
    """Return a setting as the matrix names it."""
    if isinstance(knob, EnvList):
        return f"{knob.name}={knob.key}{knob.assign}{text}"
    return f"{knob.name}={text}"
