"""Knobs: the mechanisms by which tunings act, one file each."""

from trimtab.knobs.affinity import Affinity
from trimtab.knobs.disk_file import ReadAhead
from trimtab.knobs.draft import Draft
from trimtab.knobs.env import Env
from trimtab.knobs.env_list import EnvList
from trimtab.knobs.interpreter import Interpreter
from trimtab.knobs.interrupts import Interrupts
from trimtab.knobs.json_key import JsonKey
from trimtab.knobs.login_limit import LoginLimit
from trimtab.knobs.manual import Manual
from trimtab.knobs.preload import Preload
from trimtab.knobs.protocol import Knob
from trimtab.knobs.server_arg import Argument, Switch
from trimtab.knobs.swap_areas import SwapAreas
from trimtab.knobs.sysctl import Sysctl
from trimtab.knobs.sysfs import Sysfs

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
    "Manual",
    "Preload",
    "ReadAhead",
    "SwapAreas",
    "Switch",
    "Sysctl",
    "Sysfs",
]
