"""Which options, variables and keys each release has: since and until, as data.

``scripts/vllm_tables.py`` writes ``versions/vllm.json`` and ``versions/vllm-ascend.json`` from the
source archives of the releases; nobody edits them.

What replaced the options and variables that vLLM and vllm-ascend no longer have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Final

from trimtab.catalog.applicability import is_before, release

Stretch = tuple[int, int, str]
"""First and last release, by position, that have a name alike, and how they read its value."""


@dataclass(frozen=True, slots=True, eq=False)
class Releases:
    """The releases of ``product`` in ascending order, and what each of them has.

    ``parts`` maps "options", "variables", a configuration class ... to name → its stretches.
    ``aliases`` maps a short option to the long one.
    """

    product: str
    component: str
    releases: tuple[str, ...]
    parts: Mapping[str, Mapping[str, tuple[Stretch, ...]]]
    aliases: Mapping[str, str]

    def like(self, version: str) -> tuple[int, ...]:
        """Return the positions of the releases to judge a version by; () where none can be.

        "0.9" is every release of it. A release between two known ones is as the one before it of
        the same minor version, else as both neighbours. One before the first or beyond the last
        cannot be judged.
        """
        return _like(self.releases, version)

    def kinds(self, part: str, name: str, version: str) -> tuple[str | None, ...]:
        """Return how the releases like a version read a name, ``None`` for those without it.

        () where the part of one of them is not known: its table begins later.
        """
        if any(index < self.begin(part) for index in self.like(version)):
            return ()
        stretches = self.parts.get(part, {}).get(name, ())
        return tuple(
            next((kind for first, last, kind in stretches if first <= index <= last), None)
            for index in self.like(version)
        )

    def begin(self, part: str) -> int:
        """Return the position of the first release of which a part is known."""
        return _begin(self, part)

    def has(self, part: str, name: str, version: str) -> bool | None:
        """Return whether a version has a name; ``None`` if that is unknown."""
        found = {kind is not None for kind in self.kinds(part, name, version)}
        return found.pop() if len(found) == 1 else None

    def names(self, part: str) -> frozenset[str]:
        """Return every name that any release has."""
        return frozenset(self.parts.get(part, {}))

    def names_of(self, part: str, version: str) -> frozenset[str]:
        """Return the names of a version; of all releases where the version cannot be judged."""
        return _names_of(self, part, version)

    def since(self, part: str, name: str) -> str:
        """Return the first release with a name; "" if the first known release has it."""
        first = min(one[0] for one in self.parts[part][name])
        return self.releases[first] if first > self.begin(part) else ""

    def until(self, part: str, name: str) -> tuple[str, str]:
        """Return the last release with a name and the first without; "" if none dropped it."""
        last = max(one[1] for one in self.parts[part][name])
        if last == len(self.releases) - 1:
            return "", ""
        return self.releases[last], self.releases[last + 1]


@lru_cache(maxsize=256)
def _like(releases: tuple[str, ...], version: str) -> tuple[int, ...]:
    have = release(version)
    known = [release(one) for one in releases]
    if len(have) < 2 or have[:2] < known[0][:2] or have[:2] > known[-1][:2]:
        return ()
    same = [index for index, one in enumerate(known) if one[:2] == have[:2]]
    if not same:
        above = next(index for index, one in enumerate(known) if one > have)
        return (above - 1, above)
    if len(have) == 2:
        return tuple(same)
    return (max((index for index in same if known[index] <= have), default=same[0]),)


@lru_cache(maxsize=256)
def _begin(table: Releases, part: str) -> int:
    firsts = (first for those in table.parts.get(part, {}).values() for first, _, _ in those)
    return min(firsts, default=0)


@lru_cache(maxsize=256)
def _names_of(table: Releases, part: str, version: str) -> frozenset[str]:
    if not table.like(version):
        return table.names(part)
    return frozenset(n for n in table.names(part) if table.has(part, n, version) is not False)


def parse(text: str, product: str, component: str) -> Releases:
    """Return the releases in a JSON file."""
    data = json.loads(text)
    parts = {
        part: {name: tuple((a, b, c) for a, b, c in those) for name, those in value.items()}
        for part, value in data.items()
        if part not in {"releases", "aliases"}
    }
    return Releases(product, component, tuple(data["releases"]), parts, data["aliases"])


@cache
def vllm() -> Releases:
    """Return the options and variables of vLLM's releases."""
    return parse(_text("vllm"), "vLLM", "vllm")


@cache
def vllm_ascend() -> Releases:
    """Return the options and variables of vllm-ascend's releases."""
    return parse(_text("vllm-ascend"), "vllm-ascend", "vllm-ascend")


def _text(name: str) -> str:
    path = resources.files("trimtab.catalog") / "versions" / f"{name}.json"
    return path.read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Successor:
    """The replacement of a removed name.

    ``droppable``: deleting the old name loses nothing.
    """

    fix: str
    droppable: bool = False


_OUT: Final = "take it out"
_SPECULATIVE: Final = Successor("use the keys of --speculative-config")
_STRUCTURED: Final = Successor("use the keys of --structured-outputs-config")
_PROFILER: Final = Successor("use the keys of --profiler-config")
_ATTENTION: Final = Successor("use the keys of --attention-config")
_EPLB: Final = Successor("use the keys of --eplb-config")
_MOE: Final = Successor("use --moe-backend")
_PREFETCH: Final = Successor("use weight_prefetch_config in --additional-config, where it is read")


def _dropped(why: str = "") -> Successor:
    return Successor(f"{_OUT}: {why}" if why else _OUT, droppable=True)


OPTIONS: Final[Mapping[str, Successor]] = {
    "--swap-space": _dropped("vLLM computes preempted requests again instead of swapping them"),
    "--num-scheduler-steps": _dropped("--async-scheduling serves its purpose"),
    "--multi-step-stream-outputs": _dropped("--stream-interval sets how often tokens are sent"),
    "--use-v2-block-manager": _dropped("vLLM has only one block manager"),
    "--disable-log-requests": _dropped(
        "vLLM logs no requests unless --enable-log-requests is set"
    ),
    "--disable-frontend-multiprocessing": Successor(
        "set VLLM_ENABLE_V1_MULTIPROCESSING=0, which comes nearest"
    ),
    "--preemption-mode": _dropped("vLLM always computes preempted requests again"),
    "--max-seq-len-to-capture": _dropped("graphs no longer depend on the length"),
    "--max-context-len-to-capture": _dropped("graphs no longer depend on the length"),
    "--device": _dropped("vLLM finds the device itself"),
    "--rope-scaling": Successor("move it into --hf-overrides: '{\"rope_parameters\": {...}}'"),
    "--rope-theta": Successor("move it into --hf-overrides: '{\"rope_parameters\": {...}}'"),
    "--task": Successor("use --runner pooling, and --convert embed or classify where needed"),
    "--worker-use-ray": Successor("write --distributed-executor-backend ray"),
    "--engine-use-ray": _dropped("the engine no longer runs as an actor of Ray"),
    "--enable-reasoning": _dropped("--reasoning-parser alone switches it on"),
    "--guided-decoding-backend": _STRUCTURED,
    "--guided-decoding-disable-fallback": _STRUCTURED,
    "--guided-decoding-disable-any-whitespace": _STRUCTURED,
    "--guided-decoding-disable-additional-properties": _STRUCTURED,
    "--cuda-graph-sizes": Successor("write --cudagraph-capture-sizes"),
    "--disable-async-output-proc": Successor("write --no-async-scheduling"),
    "--disable-mm-preprocessor-cache": Successor("write --mm-processor-cache-gb 0"),
    "--enable-multimodal-encoder-data-parallel": Successor("write --mm-encoder-tp-mode data"),
    "--override-pooler-config": Successor("use --pooler-config"),
    "--override-neuron-config": Successor("use --additional-config"),
    "--eplb-log-balancedness": _EPLB,
    "--eplb-step-interval": _EPLB,
    "--eplb-window-size": _EPLB,
    "--num-redundant-experts": _EPLB,
    "--num-speculative-tokens": _SPECULATIVE,
    "--speculative-model": _SPECULATIVE,
    "--speculative-model-quantization": _SPECULATIVE,
    "--speculative-max-model-len": _SPECULATIVE,
    "--speculative-draft-tensor-parallel-size": _SPECULATIVE,
    "--speculative-disable-by-batch-size": _SPECULATIVE,
    "--speculative-disable-mqa-scorer": _SPECULATIVE,
    "--ngram-prompt-lookup-max": _SPECULATIVE,
    "--ngram-prompt-lookup-min": _SPECULATIVE,
    "--spec-decoding-acceptance-method": _SPECULATIVE,
    "--num-lookahead-slots": _SPECULATIVE,
    "--chat-template-text-format": Successor("write --chat-template-content-format"),
    "--system-prompt": Successor("use --chat-template"),
    "--quantization-param-path": _dropped("the checkpoint holds its scales"),
    "--tokenizer-pool-size": _dropped("vLLM has no pool of tokenizers any more"),
    "--tokenizer-pool-type": _dropped("vLLM has no pool of tokenizers any more"),
    "--tokenizer-pool-extra-config": _dropped("vLLM has no pool of tokenizers any more"),
    "--scheduler-delay-factor": _dropped("the scheduler no longer delays prompts"),
}
"""Removed option of ``vllm serve`` → what replaced it."""

VARIABLES: Final[Mapping[str, Successor]] = {
    "VLLM_USE_V1": _dropped("vLLM has only one engine"),
    "VLLM_ATTENTION_BACKEND": Successor("use --attention-backend"),
    "VLLM_ALL2ALL_BACKEND": Successor("use --all2all-backend"),
    "VLLM_FLASH_ATTN_VERSION": _ATTENTION,
    "VLLM_FLASH_ATTN_MAX_NUM_SPLITS_FOR_CUDA_GRAPH": _ATTENTION,
    "VLLM_USE_TRTLLM_ATTENTION": _ATTENTION,
    "VLLM_USE_TRTLLM_RAGGED_DEEPSEEK_PREFILL": _ATTENTION,
    "VLLM_USE_CUDNN_PREFILL": _ATTENTION,
    "VLLM_DISABLE_FLASHINFER_PREFILL": _ATTENTION,
    "VLLM_FLASHINFER_DISABLE_Q_QUANTIZATION": _ATTENTION,
    "VLLM_V1_USE_PREFILL_DECODE_ATTENTION": _ATTENTION,
    "VLLM_USE_AITER_UNIFIED_ATTENTION": Successor("use --attention-backend"),
    "VLLM_USE_FLASHINFER_MOE_FP4": _MOE,
    "VLLM_USE_FLASHINFER_MOE_FP8": _MOE,
    "VLLM_USE_FLASHINFER_MOE_FP16": _MOE,
    "VLLM_USE_FLASHINFER_MOE_MXFP4_BF16": _MOE,
    "VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8": _MOE,
    "VLLM_USE_FLASHINFER_MOE_MXFP4_MXFP8_CUTLASS": _MOE,
    "VLLM_MXFP4_USE_MARLIN": _MOE,
    "VLLM_FLASHINFER_MOE_BACKEND": _MOE,
    "VLLM_NVFP4_GEMM_BACKEND": Successor("use --linear-backend"),
    "VLLM_USE_TRTLLM_FP4_GEMM": Successor("use --linear-backend"),
    "VLLM_USE_FBGEMM": Successor("use --linear-backend"),
    "VLLM_SKIP_DEEP_GEMM_WARMUP": Successor("set VLLM_DEEP_GEMM_WARMUP=skip"),
    "VLLM_MM_INPUT_CACHE_GIB": Successor("use --mm-processor-cache-gb"),
    "VLLM_PREFIX_CACHE_RETENTION_INTERVAL": Successor("use --prefix-cache-retention-interval"),
    "VLLM_TORCH_PROFILER_DIR": _PROFILER,
    "VLLM_TORCH_CUDA_PROFILE": _PROFILER,
    "VLLM_TORCH_PROFILER_DISABLE_ASYNC_LLM": _PROFILER,
    "VLLM_TORCH_PROFILER_DUMP_CUDA_TIME_TOTAL": _PROFILER,
    "VLLM_TORCH_PROFILER_RECORD_SHAPES": _PROFILER,
    "VLLM_TORCH_PROFILER_USE_GZIP": _PROFILER,
    "VLLM_TORCH_PROFILER_WITH_FLOPS": _PROFILER,
    "VLLM_TORCH_PROFILER_WITH_PROFILE_MEMORY": _PROFILER,
    "VLLM_TORCH_PROFILER_WITH_STACK": _PROFILER,
    "VLLM_PROFILER_DELAY_ITERS": _PROFILER,
    "VLLM_PROFILER_MAX_ITERS": _PROFILER,
    "VLLM_DISABLE_NCCL_FOR_DP_SYNCHRONIZATION": Successor(
        "use --disable-nccl-for-dp-synchronization"
    ),
    "VLLM_ASCEND_ENABLE_PREFETCH_MLP": _PREFETCH,
    "VLLM_ASCEND_MLP_GATE_UP_PREFETCH_SIZE": _PREFETCH,
    "VLLM_ASCEND_MLP_DOWN_PREFETCH_SIZE": _PREFETCH,
    "VLLM_ASCEND_ENABLE_FLASHCOMM": Successor(
        "use enable_flashcomm1 in --additional-config, in the releases that read it"
    ),
}
"""Removed variable → what replaced it."""


TAKEN = ("accepted", "read as")
"""How an answer begins where a version takes the text, as written or as something else."""

_FILE = "versions/torch-npu.json"


@dataclass(frozen=True, slots=True)
class Versions:
    """Versions in ascending order, and where they differ.

    ``known`` maps an entry to the versions that know it, where not all do. ``answers`` maps a
    setting, as people write it, to each version's answer in short, where they are not all alike.
    ``not_asked`` are sentences about versions left out; ``command`` is what asked.
    """

    command: str
    versions: tuple[str, ...]
    not_asked: tuple[str, ...]
    known: Mapping[str, tuple[str, ...]]
    answers: Mapping[str, tuple[str, ...]]

    def like(self, version: str) -> tuple[str, ...]:
        """Return the asked versions to judge a version by: the same release, or its neighbours.

        Post releases of one release are taken to be alike, which was not tried: 2.9.0 is
        2.9.0.post9. Empty where the text is no version.
        """
        older: list[str] = []
        for one in self.versions:
            earlier = is_before(version, one)
            if earlier is None:
                return ()
            if earlier:
                return (*older[-1:], one)
            if not is_before(one, version):
                return (one,)
            older.append(one)
        return tuple(older[-1:])

    def beyond(self, version: str) -> bool:
        """Return whether a version is older or newer than all known versions."""
        return bool(is_before(version, self.versions[0]) or is_before(self.versions[-1], version))

    def refusing(self, name: str, place: str) -> tuple[str, ...]:
        """Return the versions that do not know an entry, or reject this text of it."""
        known = self.known.get(name, self.versions)
        said = self.answers.get(place, ("accepted",) * len(self.versions))
        answers = zip(self.versions, said, strict=True)
        return tuple(
            one for one, answer in answers if one not in known or not answer.startswith(TAKEN)
        )


@cache
def torch_npu() -> Versions:
    """Return the replies of the torch_npu versions."""
    return parse_versions((resources.files("trimtab.catalog") / _FILE).read_text(encoding="utf-8"))


def parse_versions(text: str) -> Versions:
    """Return the versions in a JSON file."""
    data = json.loads(text)
    return Versions(
        data["command"],
        tuple(data["versions"]),
        tuple(data["not_asked"]),
        {name: tuple(those) for name, those in data["known"].items()},
        {place: tuple(answers) for place, answers in data["answers"].items()},
    )


def life(taking: Sequence[str], against: Sequence[str], versions: Sequence[str]) -> str:
    """Return until and since when versions take what those of ``against`` do not; "" for never."""
    if not against:
        return ""
    at = versions.index(against[0])
    earlier = [version for version in versions[:at] if version in taking]
    later = [version for version in versions[at:] if version in taking]
    words = [f"until {earlier[-1]}"] if earlier else []
    words += [f"since {later[0]}"] if later else []
    return " and again ".join(words)
