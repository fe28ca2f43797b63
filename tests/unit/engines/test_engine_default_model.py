"""The built-in model: made whole, once, from no data."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from trimtab.engines import default_model


def test_it_is_made_once(home: Path) -> None:
    made = default_model.ensure()
    assert made == default_model.folder()
    assert home in made.parents
    times = {path: path.stat().st_mtime_ns for path in made.iterdir()}
    assert default_model.ensure() == made
    assert {path: path.stat().st_mtime_ns for path in made.iterdir()} == times
    assert [path.name for path in made.parent.iterdir()] == [made.name]  # no draft is left


def test_its_tokenizer_fits_its_configuration(home: Path) -> None:
    made = default_model.ensure()
    config = json.loads((made / "config.json").read_text())
    tokenizer = Tokenizer.from_file(str(made / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == config["vocab_size"] == 8192
    assert tokenizer.token_to_id("<s>") == config["bos_token_id"]
    assert tokenizer.token_to_id("</s>") == config["eos_token_id"]


@pytest.mark.parametrize("text", ["plain", "naïve ☃ 漢字", "\x00\t\n", ""])
def test_any_text_passes_through_its_tokenizer(home: Path, text: str) -> None:
    tokenizer = Tokenizer.from_file(str(default_model.ensure() / "tokenizer.json"))
    encoded = tokenizer.encode(text)
    assert len(encoded.ids) == len(text.encode())
    assert tokenizer.decode(encoded.ids) == text


@pytest.mark.parametrize("damage", ["change", "remove", "stamp", "empty"])
def test_a_damaged_folder_is_made_again(home: Path, damage: str) -> None:
    made = default_model.ensure()
    if damage == "change":
        (made / "config.json").write_text("{}")
    elif damage == "remove":
        (made / "tokenizer.json").unlink()
    elif damage == "stamp":
        (made / "trimtab-model.json").write_text('{"format": 0, "files": {}}')
    else:
        shutil.rmtree(made)
        made.mkdir()
    assert not default_model.is_intact(made)
    assert default_model.is_intact(default_model.ensure())
    assert [path.name for path in made.parent.iterdir()] == [made.name]


def test_it_is_the_same_every_time(home: Path) -> None:
    made = default_model.ensure()
    first = {path.name: path.read_bytes() for path in made.iterdir()}
    shutil.rmtree(made)
    default_model.ensure()
    assert {path.name: path.read_bytes() for path in made.iterdir()} == first
