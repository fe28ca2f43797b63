"""What a live server showed for each check of a plan, for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from trimtab.model import Check, Evidence, Proves, Seen
from trimtab.report.entries import paragraph

_STYLES = {Seen.NO: "bold red", Seen.UNOBSERVABLE: "yellow", Seen.YES: "green"}
"""In the order in which they are printed."""

_SEEN = max(map(len, Seen))


def show(evidence: Sequence[Evidence], console: Console) -> None:
    """Print each check, refuted ones first, and the counts; in a pipe with tabs between fields.

    What proves an effect is counted apart from what only proves that a setting arrived.
    """
    order = list(_STYLES)
    for one in sorted(evidence, key=lambda one: order.index(one.verdict)):
        what = f"{one.check.kind.value} {one.check.subject}".strip()
        name, proves = one.check.tuning or "plan", one.check.proves.value
        if console.is_terminal:
            wanted = f", expected {_expected(one.check)}" if one.verdict is Seen.NO else ""
            text = f"{name}: {what} is {one.observed}{wanted} ({proves}; {one.where})"
            first = f"{one.verdict.value:<{_SEEN}}  "
            paragraph(console, text, first, " " * len(first), _STYLES[one.verdict])
        else:
            fields = (one.verdict.value, proves, name, what, _expected(one.check))
            paragraph(console, "\t".join((*fields, one.observed, one.where)))
    for kind in (Proves.EFFECT, Proves.DELIVERY):
        seen = [one.verdict for one in evidence if one.check.proves is kind]
        counts = ", ".join(f"{seen.count(one)} {one.value}" for one in order)
        paragraph(console, f"{kind.value}: {counts}")


def _expected(check: Check) -> str:
    return "absent" if check.expected is None else str(check.expected)
