"""The built-in model: small, Qwen3-shaped, made from no data, with weights from a fixed seed.

The folder holds a configuration and a byte-level tokenizer; the weights are vLLM's dummy ones
(``--load-format dummy``), random from the engine's seed, 0 by default. It speaks nonsense at the
speed of a real model of its size, which is all that a tuner needs.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

import platformdirs

FORMAT = 1
"""Format of the folder. History: 1, first."""

NAME = f"tiny-qwen3-{FORMAT}"
ARGS = ("--load-format", "dummy")
VOCAB = 8192
MAX_LENGTH = 4096
_STAMP = "trimtab-model.json"

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 512,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "intermediate_size": 1536,
    "vocab_size": VOCAB,
    "max_position_embeddings": MAX_LENGTH,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
    "attention_bias": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "initializer_range": 0.02,
}


def folder() -> Path:
    """Return where the model lies, in the user's data folder."""
    return platformdirs.user_data_path("trimtab") / "models" / NAME


def ensure() -> Path:
    """Return the model's folder, made if it is missing or not as it was written.

    The folder appears complete or not at all, so two processes may do this at once.
    """
    target = folder()
    if is_intact(target):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{NAME}-", dir=target.parent))
    try:
        _write(draft)
        draft.chmod(0o755)
        _put(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def is_intact(path: Path) -> bool:
    """Whether ``path`` holds exactly what was written, by the hashes of its stamp."""
    try:
        stamp = json.loads((path / _STAMP).read_text(encoding="utf-8"))
        hashes = dict(stamp["files"])
        return stamp["format"] == FORMAT and hashes == {
            name: _hash(path / name) for name in hashes
        }
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _put(draft: Path, target: Path) -> None:
    try:
        draft.replace(target)
    except OSError:
        if is_intact(target):  # another process was first
            return
        broken = Path(tempfile.mkdtemp(prefix=f".{NAME}-old-", dir=target.parent))
        target.replace(broken)
        draft.replace(target)
        shutil.rmtree(broken)


def _write(path: Path) -> None:
    contents = {
        "config.json": json.dumps(CONFIG, indent=1),
        "generation_config.json": json.dumps({"bos_token_id": 0, "eos_token_id": 1}),
        "tokenizer_config.json": json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "bos_token": "<s>",
                "eos_token": "</s>",
                "model_max_length": MAX_LENGTH,
            }
        ),
        "tokenizer.json": _tokenizer(),
    }
    for name, text in contents.items():
        (path / name).write_text(text, encoding="utf-8")
    stamp = {"format": FORMAT, "files": {name: _hash(path / name) for name in sorted(contents)}}
    (path / _STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def _tokenizer() -> str:
    """Return tokenizer.json: two special tokens, the 256 byte symbols, then unused names."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    words = ["<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words += [f"<extra_{index}>" for index in range(VOCAB - len(words))]
    tokenizer = Tokenizer(
        models.BPE(vocab={word: index for index, word in enumerate(words)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return str(tokenizer.to_str())


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
