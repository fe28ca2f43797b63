"""Keys of the options that hold JSON: misspelt ones, and those of other releases."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from trimtab.catalog import CATALOG, Rule, Scene
from trimtab.catalog.applicability import is_before
from trimtab.catalog.releases import vllm, vllm_ascend
from trimtab.catalog.values import is_placeholder
from trimtab.knobs import JsonKey
from trimtab.model.finding import Hit, Problem, Severity
from trimtab.rules import spelling
from trimtab.rules.lifetimes import Life, life_of, serves, version_in_force
from trimtab.rules.packages import unknown_release

_CLASSES: Final[Mapping[str, str]] = {
    "--compilation-config": "CompilationConfig",
    "--speculative-config": "SpeculativeConfig",
    "--kv-transfer-config": "KVTransferConfig",
    "--eplb-config": "EPLBConfig",
    "--attention-config": "AttentionConfig",
    "--kernel-config": "KernelConfig",
    "--structured-outputs-config": "StructuredOutputsConfig",
    "--pooler-config": "PoolerConfig",
    "--kv-events-config": "KVEventsConfig",
    "--profiler-config": "ProfilerConfig",
    "--ec-transfer-config": "ECTransferConfig",
    "--reasoning-config": "ReasoningConfig",
}
"""Option → the class of vLLM whose fields are its keys."""

_NESTED: Final = {"pass_config": "PassConfig"}
_FORBIDS: Final = "0.16"
"""Since then every class refuses keys that it does not have; some did before."""

_ASCEND: Final = "--additional-config"
_ROLES: Final = ("kv_producer", "kv_consumer", "kv_both")
_GRAPHS: Final = ("NONE", "PIECEWISE", "FULL", "FULL_DECODE_ONLY", "FULL_AND_PIECEWISE")

_BACKENDS: Final = ("auto", "xgrammar", "guidance", "outlines", "lm-format-enforcer")


def _positive(value: object) -> bool:
    return value is True or re.fullmatch(r"\+?0*[1-9]\d*(\.0+)?", str(value).strip()) is not None


def _sizes(value: object) -> bool:
    return isinstance(value, list) and all(re.fullmatch(r"\d+(\.0+)?", str(one)) for one in value)


_METHODS: Final = frozenset(
    {
        *("custom_class", "dflash", "draft_model", "dspark", "eagle", "eagle3", "medusa", "mtp"),
        *("extract_hidden_states", "mlp_speculator", "ngram", "ngram_gpu", "suffix"),
    }
)
"""Ways of speculating that any release has, besides those of a model: ``qwen3_next_mtp``."""


def _method(value: object) -> bool:
    return value in (None, *_METHODS) or str(value).endswith("_mtp")


_FIELDS: Final[Mapping[str, tuple[tuple[str, str, Callable[[object], bool]], ...]]] = {
    "--speculative-config": (
        ("num_speculative_tokens", "an integer of at least 1", _positive),
        ("method", "ngram, eagle3, mtp or another that vLLM has", _method),
    ),
    "--compilation-config": (("cudagraph_capture_sizes", "a list of sizes", _sizes),),
    "--structured-outputs-config": (
        ("backend", f"one of {', '.join(_BACKENDS)}", lambda value: value in _BACKENDS),
    ),
}
"""Option → (key, what it takes, whether it takes a value), the same in every release."""


def _objects(scene: Scene) -> Iterator[tuple[str, str, dict[str, object]]]:
    """Yield (setting, option, what it holds) of each option that is given as an object.

    A dotted option holds one key: ``--compilation-config.cudagraph_mode FULL``.
    """
    for name, made in scene.options.items():
        option, dot, path = name.partition(".")
        if not made.literal or is_placeholder(made.value):
            continue
        if dot:
            found = _dotted(path, made.value)
            for key in reversed(path.rstrip("+").replace("-", "_").split(".")):
                found = {key: found}
        else:
            try:
                found = json.loads(made.value)
            except (ValueError, RecursionError):
                continue  # judged as a value
        if isinstance(found, dict):
            yield name, option, found


def _dotted(path: str, text: str) -> object:
    """Return the value of a dotted option: a list behind "+", JSON, or the text itself."""
    if path.endswith("+"):
        return text.split(",")
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found


def _keys(scene: Scene) -> Iterator[Hit]:
    if not serves(scene) or scene.pid is not None:  # a live server has taken them
        return
    for setting, option, held in _objects(scene):
        if option in _CLASSES:
            yield from _of_class(setting, option, _CLASSES[option], held, scene)
            yield from _values(setting, option, held)
        elif option == _ASCEND:
            yield from _of_ascend(setting, held, scene)


def _of_class(
    setting: str, option: str, part: str, held: Mapping[str, object], scene: Scene
) -> Iterator[Hit]:
    for key, value in held.items():
        if key in _NESTED and isinstance(value, dict):
            yield from _of_class(setting, option, _NESTED[key], value, scene)
        life = life_of(vllm(), part, key, scene)
        if life is None:
            yield _never(setting, option, part, key, scene)
        elif life.here is False:
            yield _elsewhere(setting, option, key, life)
        elif life.gone and not life.version:
            given = unknown_release(scene, f"vLLM {life.gone}")
            yield Hit(
                setting,
                f"{option} has no key {key} in vLLM {life.gone} and later, and they exit",
                "take the key out, or look for what replaced it",
                severity=None if given else Severity.WARNING,
                given=given,
            )


def _never(setting: str, option: str, part: str, key: str, scene: Scene) -> Hit:
    version = version_in_force("vllm", scene)
    meant = spelling.intended_name(key, vllm().names_of(part, version))
    old = is_before(version, _FORBIDS) is True
    newer = bool(version) and not vllm().like(version)
    return Hit(
        setting,
        f"{option} has no key {key}" + (": it has no effect" if old else ", and vLLM exits"),
        f"write {meant}" if meant else "take the key out",
        severity=Severity.WARNING if old else None,
        given=f"vLLM {version} does not have it either" if newer else "",
    )


def _elsewhere(setting: str, option: str, key: str, life: Life) -> Hit:
    old = is_before(life.version, _FORBIDS) is True and option != "--speculative-config"
    when = f"vLLM {life.since} is the first" if life.early else f"vLLM had it until {life.last}"
    then = "it has no effect" if old else "the server exits"
    return Hit(
        setting,
        f"{option} has no key {key} in vLLM {life.version}, so {then}: {when}",
        "take the key out" if not life.early else f"use vLLM {life.since} or later",
        severity=Severity.WARNING if old else None,
    )


def _values(setting: str, option: str, held: Mapping[str, object]) -> Iterator[Hit]:
    """Yield what is wrong with the values that vLLM looks up in a list of its own."""
    if option == "--kv-transfer-config" and held.get("kv_connector"):
        role = held.get("kv_role")
        if role is None and "." not in setting:
            yield Hit(
                setting,
                f"{option} names a kv_connector and no kv_role: vLLM exits",
                f"add kv_role, one of {', '.join(_ROLES)}",
            )
        elif isinstance(role, str) and role not in _ROLES and not is_placeholder(role):
            yield Hit(
                setting,
                f"kv_role must be one of {', '.join(_ROLES)}, but is {role!r}: vLLM exits",
                f"write one of {', '.join(_ROLES)}",
            )
    for key, wants, takes in _FIELDS.get(option, ()):
        value = held.get(key)
        text = str(value) if isinstance(value, str) else ""
        if value is not None and not takes(value) and not is_placeholder(text):
            shown = json.dumps(value)
            yield Hit(
                setting,
                f"{key} must be {wants}, but is {shown}: vLLM exits",
                f"give {wants}",
            )
    mode = held.get("cudagraph_mode") if option == "--compilation-config" else None
    if isinstance(mode, str) and mode.upper() not in _GRAPHS and not is_placeholder(mode):
        yield Hit(
            setting,
            f"cudagraph_mode must be one of {', '.join(_GRAPHS)}, but is {mode!r}: vLLM exits",
            f"write one of {', '.join(_GRAPHS)}",
        )


def _of_ascend(setting: str, held: Mapping[str, object], scene: Scene) -> Iterator[Hit]:
    if scene.situation.platform not in (None, "ascend"):
        return
    knobs = {tuning.knob.key for tuning in CATALOG.values() if isinstance(tuning.knob, JsonKey)}
    owned = {key.partition(".")[0] for key in knobs}
    for key, value in held.items():
        life = life_of(vllm_ascend(), "additional-config", key, scene)
        if life is not None and life.gone and not life.here:
            yield _former(setting, key, life)
        elif life is None and key not in owned and re.fullmatch(r"\w+", key):
            yield from _unknown_of_ascend(setting, key, owned, scene)
        inside = {knob.partition(".")[2] for knob in knobs if knob.startswith(f"{key}.")}
        yield from _inside(setting, key, value, inside)


def _inside(setting: str, name: str, value: object, own: set[str]) -> Iterator[Hit]:
    """Yield the misspelt keys of a key's object; ``own`` are those that are known to be its.

    The table holds variables, too, that vllm-ascend reads beside its keys.
    """
    named = vllm_ascend().names("additional-config")
    known = frozenset(one for one in named if not one.isupper()) | own
    for key, inner in sorted(value.items()) if isinstance(value, dict) else ():
        meant = (
            spelling.intended_name(key, own) or spelling.intended_name(key, known)
            if key.islower()
            else None
        )
        if key not in known and meant is not None:
            yield _misspelt(setting, f"{key} in {name} of", meant)
        yield from _inside(setting, key, inner, set())


def _misspelt(setting: str, where: str, meant: str) -> Hit:
    return Hit(
        setting,
        f"vllm-ascend reads no key {where} {_ASCEND}: it looks like {meant} misspelt",
        f"write {meant}",
    )


def _former(setting: str, key: str, life: Life) -> Hit:
    if life.here is False:
        message = f"{life.product} {life.version} does not read {key} in {_ASCEND}"
        later = is_before(life.version, life.last)
        when = "other releases read it" if later else f"it was read until {life.last}"
        return Hit(setting, f"{message}: {when}", "take the key out")
    return Hit(
        setting,
        f"{life.product} {life.gone} and later do not read {key} in {_ASCEND}",
        "take the key out, or look for what replaced it",
    )


def _unknown_of_ascend(setting: str, key: str, owned: set[str], scene: Scene) -> Iterator[Hit]:
    known = vllm_ascend().names_of("additional-config", scene.version("vllm-ascend")) | owned
    meant = spelling.intended_name(key, known)
    if meant:
        yield _misspelt(setting, f"{key} in", meant)
    elif scene.situation.platform == "ascend":
        yield Hit(
            setting,
            f"no known release of vllm-ascend reads {key} in {_ASCEND}",
            "check the name",
            severity=Severity.INFO,
        )


KEYS: tuple[Rule, ...] = (
    Rule(
        id="config-key",
        severity=Severity.ERROR,
        problem=Problem.WRONG_VALUE,
        summary="A configuration of vLLM given as JSON has no such key, or not such a value.",
        process=lambda scene: (hit for hit in _keys(scene) if not hit.setting.startswith(_ASCEND)),
    ),
    Rule(
        id="additional-config-key",
        severity=Severity.WARNING,
        problem=Problem.NO_EFFECT,
        summary="vllm-ascend does not read a key of the additional configuration.",
        process=lambda scene: (hit for hit in _keys(scene) if hit.setting.startswith(_ASCEND)),
    ),
)
