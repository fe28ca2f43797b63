#!/usr/bin/env python3
"""Write docs/stream-shapes.md from the table that the tests of the load client feed to it.

``tests/unit/load/test_load_shapes.py`` fails when the page differs from what this writes.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.stream_shapes import SHAPES, Shape  # noqa: E402

_HEAD = """# Stream shapes

`scripts/make_stream_shapes.py` writes this page from the table of the tests
(`tests/support/stream_shapes.py`). Servers stream one answer in many legal ways. Of each the load
client measures what stands here, to the bit and however the bytes are split.
[metrics.md](metrics.md) defines a token.

The head of each answer arrives after 0.24 ms, its first token after 204 ms, unless the row says
otherwise. Times are milliseconds.
"""


def page() -> str:
    """Return the page."""
    lines = [_HEAD.rstrip()]
    group = ""
    for shape in SHAPES:
        if shape.group != group:
            group = shape.group
            lines += ["", f"## {group}", "", "| stream | TTFT | ITL | TPOT | tokens |"]
            lines.append("|---|---|---|---|---|")
        lines.append(_row(shape))
    return "\n".join([*lines, ""])


def _row(shape: Shape) -> str:
    if shape.error:
        return f"| {shape.name} | fails: {shape.error} | | | |"
    gaps = ", ".join(_number(one) for one in shape.itl) or "none"
    return (
        f"| {shape.name} | {_number(shape.ttft)} | {gaps} | {_number(shape.tpot)} "
        f"| {shape.tokens} |"
    )


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    (ROOT / "docs" / "stream-shapes.md").write_text(page(), encoding="utf-8")
