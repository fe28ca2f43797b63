"""Knobs: the mechanisms by which tunings act, one file each."""

from trimtab.knobs.affinity import Affinity
from trimtab.knobs.env import Env, EnvList, Preload
from trimtab.knobs.host import Interrupts, LoginLimit, ReadAhead, SwapAreas, Sysctl, Sysfs
from trimtab.knobs.interpreter import Interpreter
from trimtab.knobs.manual_setting import ManualSetting
from trimtab.knobs.protocol import Draft, Knob
from trimtab.knobs.server_arg import Argument, JsonKey, Switch

__all__ = [
    "Affinity",
    "Argument",
    "Draft",
    "Env",
    "EnvList",
    "Interpreter",
    "Interrupts",
    "JsonKey",
    "Knob",
    "LoginLimit",
    "ManualSetting",
    "Preload",
    "ReadAhead",
    "SwapAreas",
    "Switch",
    "Sysctl",
    "Sysfs",
]
