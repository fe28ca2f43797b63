"""What is done with vllm-ascend: its configuration is made as ``vllm serve`` makes it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from . import later, unneeded
from .compiled_later import compiled_when_called
from .seen import plain

if TYPE_CHECKING:
    from .check import Check, Stage

_MODEL = "ORACLE_MODEL"
"""Variable with the folder of the model that configurations are made for."""

_parsers: list[Any] = []


class Noting(dict[str, Any]):
    """A configuration that notes which of its keys are asked for; parts note theirs with dots."""

    def __init__(self, values: dict[str, Any], asked: list[str], above: str = "") -> None:
        super().__init__(
            {
                key: Noting(value, asked, f"{above}{key}.") if isinstance(value, dict) else value
                for key, value in values.items()
            }
        )
        self._asked = asked
        self._above = above

    def __getitem__(self, key: str) -> Any:
        self._asked.append(f"{self._above}{key}")
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._asked.append(f"{self._above}{key}")
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return a value, and note the key."""
        self._asked.append(f"{self._above}{key}")
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()  # else ``f(**part)`` would go past keys()

    def keys(self) -> Any:
        """Return the keys, and note all of them."""
        found = super().keys()
        self._asked.extend(f"{self._above}{key}" for key in found)
        return found


def prepare() -> None:
    """Import vLLM with its plug-in, and make one configuration, so that all is loaded."""
    before = dict(os.environ)
    with compiled_when_called(importlib.import_module("torch")):
        _import_and_make()
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)


def _import_and_make() -> None:
    with later.absent(unneeded.LISTS):
        importlib.import_module("vllm_ascend")  # and vllm with it
    utils = importlib.import_module("vllm.utils.argparse_utils")
    args = importlib.import_module("vllm.engine.arg_utils")
    registry: Any = importlib.import_module("vllm.model_executor.models.registry")
    registry._run_in_subprocess = _here
    parser = args.EngineArgs.add_cli_args(utils.FlexibleArgumentParser())
    parser.error = _refuse
    _parsers.append(parser)
    make(["--enforce-eager"])
    importlib.import_module("vllm_ascend.ascend_config").clear_ascend_config()


def _here(inspect: Callable[[], Any]) -> Any:
    """Look at the model's class in this process, for which vLLM would start another one.

    It does so to leave CUDA alone; here there is none, and the other would import all anew.
    """
    return inspect()


def _refuse(message: str) -> NoReturn:
    raise ValueError(message)


def make(argv: list[str]) -> Any:
    """Return the engine's configuration for the options ``argv``."""
    args = importlib.import_module("vllm.engine.arg_utils")
    model = os.environ[_MODEL]
    words = ["--model", model, "--load-format", "dummy", *argv]
    return args.EngineArgs.from_cli_args(_parsers[0].parse_args(words)).create_engine_config()


def configuration(check: Check) -> None:
    """Make the engine's configuration; note which keys of --additional-config are asked for."""
    module: Any = importlib.import_module("vllm_ascend.platform")
    platform, read = module.NPUPlatform, module.init_ascend_config
    keys: list[str] = []
    update = platform.check_and_update_config.__func__

    def as_read(config: Any) -> Any:
        found = check.left["ascend_config"] = read(config)
        check.left["as_read"] = plain(found)
        return found

    def noted(cls: Any, config: Any) -> None:
        config.additional_config = Noting(dict(config.additional_config or {}), keys)
        update(cls, config)

    module.init_ascend_config = as_read
    platform.check_and_update_config = classmethod(noted)
    check.left["keys"] = keys
    before = dict(os.environ)
    check.left["engine"] = make(check.argv)
    changed = {n: t for n, t in dict(os.environ).items() if before.get(n) != t}
    check.left["rewritten"] = changed


def variables(check: Check) -> None:
    """Read those of vllm-ascend's variables that are set, by its own table."""
    table = importlib.import_module("vllm_ascend.envs").env_variables
    found = check.left.setdefault("variables", {})
    for name in check.env:
        if name in table:
            found[name] = table[name]()


def sleep(check: Check) -> None:
    """Make the allocator of sleep mode, as a worker does when it loads a model."""
    module = importlib.import_module("vllm_ascend.device_allocator.camem")
    check.left["sleep"] = module.CaMemAllocator.get_instance()


STAGES: dict[str, Stage] = {
    "configuration": configuration,
    "variables": variables,
    "sleep": sleep,
}
