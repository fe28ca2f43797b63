"""A child program with known behaviour, in place of the one that runs the vendors' code.

What a check does follows from the text of its settings: ``refuse`` is refused, ``crash`` ends the
process, ``hang`` reports a hung one, ``size`` is refused over the number of workers; A with B is
refused though each is taken. ``refuse on X`` is refused where the variable CHIP is X; VERSION is
what it says of torch_npu.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    kind = sys.argv[3]
    if kind == "broken":
        print(json.dumps({"failed": "ImportError: no such thing"}), flush=True)
        return
    print(json.dumps({"ready": {"torch_npu": os.environ.get("VERSION", "0.1")}}), flush=True)
    for line in sys.stdin:
        answer(json.loads(line))


def answer(request: dict) -> None:  # type: ignore[type-arg]
    folder = Path(request["folder"])
    texts = set(request["env"].values())
    events: list[dict[str, object]] = [{"stage": "import"}, {"stage": "import", "asked": []}]
    ended: dict[str, object] = {"exit": 0}
    events.append({"stage": "device"})
    if texts & {"refuse", f"refuse on {os.environ.get('CHIP')}"}:
        events.append({"stage": "device", "error": "ValueError", "message": "no\nway"})
    elif "size" in texts:
        message = "8 cannot exceed global tensor parallel size"
        events.append({"stage": "device", "error": "ValueError", "message": message})
    elif {"A", "B"} <= set(request["env"]):
        events.append({"stage": "device", "error": "RuntimeError", "message": "A or B"})
    elif "crash" in texts:
        ended = {"signal": 6}
    elif "hang" in texts:
        ended = {"hung": True}
    if ended == {"exit": 0}:
        events += [
            {"stage": "device", "asked": [n for n in request["env"] if n != "NOBODY"]},
            {"stage": "look"},
            {"seen": "streams", "value": 32},
            {"done": True},
        ]
    (folder / "events").write_text("".join(json.dumps(one) + "\n" for one in events))
    (folder / "output").write_text("Warning: mind the gap\n" if "warn" in texts else "")
    if "quit" in texts:
        sys.exit("it had enough")
    print(json.dumps({"id": request["id"], **ended}), flush=True)


if __name__ == "__main__":
    main()
