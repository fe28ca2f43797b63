"""The micro-benchmark's program, run by the interpreter that is judged: ``loops.py SECONDS``.

Small loops of what a server's Python does: JSON, attributes and calls, formatting, regular
expressions, sorting and heaps, generators, and turns of an event loop. Prints JSON: name → CPU
seconds of one round, the median over rounds that fill the given time. Uses the standard library
alone.

CPU seconds, because another program on the machine makes a round longer but no slower; the loops
take turns, so that a disturbance of the caches falls on all of them.
"""

import asyncio
import heapq
import json
import re
import sys
from collections.abc import Callable
from statistics import median
from time import process_time

_BODY = {
    "model": "m",
    "choices": [{"index": i, "text": f"token {i}", "logprobs": None} for i in range(20)],
    "usage": {"prompt_tokens": 128, "completion_tokens": 64},
}


class _Request:
    def __init__(self, number: int) -> None:
        self.number = number
        self.tokens: list[int] = []

    def add(self, token: int) -> int:
        self.tokens.append(token)
        return len(self.tokens)


def _json_round() -> None:
    for _ in range(150):
        json.loads(json.dumps(_BODY))


def _objects() -> None:
    requests = [_Request(number) for number in range(60)]
    for token in range(60):
        for request in requests:
            request.add(token + request.number)


def _text() -> None:
    for number in range(3000):
        f"data: {number:>6} {number / 7:.3f}".encode().decode().split(" ")


def _patterns() -> None:
    pattern = re.compile(r"(\w+)=(\d+)(?:,|$)")
    for _ in range(300):
        pattern.findall("alpha=1,beta=22,gamma=333,delta=4444")


def _queues() -> None:
    heap: list[tuple[int, int]] = []
    for number in range(3000):
        heapq.heappush(heap, (number * 7919 % 3001, number))
    sorted((heapq.heappop(heap) for _ in range(3000)), key=lambda one: one[1])


def _generators() -> None:
    sum(a * b for a, b in zip(range(15000), (x ^ 5 for x in range(15000)), strict=True))


async def _turns() -> None:
    async def one(queue: "asyncio.Queue[int]") -> None:
        for number in range(60):
            await queue.put(number)
            await asyncio.sleep(0)

    queue: asyncio.Queue[int] = asyncio.Queue()
    await asyncio.gather(*(one(queue) for _ in range(10)))


def _event_loop() -> None:
    asyncio.run(_turns())


LOOPS: tuple[Callable[[], None], ...] = (
    _json_round, _objects, _text, _patterns, _queues, _generators, _event_loop,
)  # fmt: skip


def main(seconds: float) -> dict[str, float]:
    """Return the CPU seconds of one round of each loop."""
    for loop in LOOPS:
        loop()
    rounds: dict[str, list[float]] = {loop.__name__.strip("_"): [] for loop in LOOPS}
    until = process_time() + seconds
    while process_time() < until or any(len(one) < 3 for one in rounds.values()):
        for loop, taken in zip(LOOPS, rounds.values(), strict=True):
            begin = process_time()
            loop()
            taken.append(process_time() - begin)
    return {name: median(taken) for name, taken in rounds.items()}


if __name__ == "__main__":
    print(json.dumps(main(float(sys.argv[1]))))
