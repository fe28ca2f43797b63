"""A server that runs already, as ``bench --url`` and ``capacity --url`` measure it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from trimtab import formatting
from trimtab.engines import api_key, checkpoint
from trimtab.engines.openai_api import served_name
from trimtab.errors import LoadFailedError, ServerLostError, UsageError
from trimtab.http_client import loopback
from trimtab.http_client.address import insecure_url as unchecked
from trimtab.http_client.address import parse, proxy_remark
from trimtab.load.isolation import drain, incarnation
from trimtab.load.preflight import require_completions, require_context
from trimtab.load.runner import GiveUp, LoadResult, run_guarded, run_load
from trimtab.load.workload import Workload, load_workload
from trimtab.measurement import blocks
from trimtab.measurement.results import BenchResult
from trimtab.metrics.aggregate import start_metrics
from trimtab.metrics.table import METRICS, parse_slo
from trimtab.model import BASELINE, Header, Outcome, Phase, Settings, Start, StartRequest
from trimtab.model.platforms import UNKNOWN
from trimtab.search import remarks
from trimtab.stats.sequential import no_interval_reason
from trimtab.study import session
from trimtab.study.options import Options, parse_windows
from trimtab.study.session import Say


def _hint(why: str) -> str:
    """Return what to do about a server that does not name its models."""
    if why.endswith(("HTTP 401", "HTTP 403")):
        return ": set VLLM_API_KEY to the key that it demands"
    if "certificate" in why:
        return ""  # it says what to do
    return ": start it, or give its address with --url"


_SECONDS = 5.0


def server_address(
    url: str | None, options: Options, target: str, *, insecure: bool, resume: bool
) -> str | None:
    """Return the address of ``--url``, with its certificate unchecked if ``insecure``.

    ``None`` where no server that runs is named.

    Raises:
        UsageError: it is no address, has no certificate, or stands beside what starts a server.
    """
    if url is None:
        if insecure:
            raise UsageError("--insecure goes with an https --url: leave it out")
        return None
    beside = {
        "the target": target != "stock",
        "--resume": resume,
        "--demo": options.demo,
        "--engine": options.engine,
        "--engine-python": options.engine_python,
        "--baseline": options.baseline_file,
        "the command": options.baseline,
    }
    if given := [name for name, value in beside.items() if value]:
        raise UsageError(f"--url measures a server that runs: leave {' and '.join(given)} out")
    return parse(unchecked(url) if insecure else url, "--url").url


class RemoteServer:
    """A server that runs already, and how load reaches it.

    Raises:
        UsageError: the URL is none.
        ServerLostError: the server does not answer as vLLM does.
    """

    def __init__(self, url: str, options: Options, say: Say) -> None:
        self._say = say
        self._url = parse(url, "--url").url
        self._key = api_key(Settings(argv=()), os.environ)
        if why := loopback.trouble(self._url, "/v1/models", _SECONDS, self._key):
            raise ServerLostError(
                f"--url must be a vLLM server, but {self._url}: {why}{_hint(why)}"
            )
        self._model = options.model or served_name(self._url, self._key)
        self._slo = parse_slo(options.slo) if options.slo else None
        self._shared_host = options.shared_host

    def announce(self, workload: Workload) -> Header:
        """Tell which server, model and workload are measured; return the same as a record."""
        header = Header(
            engine="a running server",
            version=loopback.version(self._url, self._key),
            platform=UNKNOWN,
            path=self._url,
            model=self._model,
            workload=session.workload(workload),
            machine="a machine that trimtab does not look at",
        )
        for line in (*header.lines(), proxy_remark(self._url, os.environ)):
            if line:
                self._say(line)
        return header

    def run(self, workload: Workload, seed: int, give_up: GiveUp | None = None) -> LoadResult:
        """Drive one load, once the server is idle.

        Raises:
            UsageError: the requests do not fit its context, or this process's open files.
            EndpointMissingError: it completes no prompts.
            LoadFailedError: it goes on working for somebody else, or was restarted meanwhile.
        """
        if busy := drain(self._url, self._key):
            raise LoadFailedError(
                f"{self._url} works on {formatting.count(busy, 'request')} of others: what is "
                "measured would be theirs too; measure when it is idle"
            )
        require_context(workload, self._context(), f"{self._url}/v1/models")
        require_completions(self._url, self._model, self._key, workload)
        before = incarnation(self._url, self._key)
        load = partial(
            run_load, self._url, self._model, workload, seed,
            vocab=checkpoint.SAFE_VOCAB, key=self._key, slo=self._slo, progress=self._say,
            shared_host=self._shared_host, give_up=give_up,
        )  # fmt: skip
        result = run_guarded(self._url, self._key, load)
        if not result.failed and before != incarnation(self._url, self._key):
            raise LoadFailedError(
                f"{self._url} was restarted while it was measured: measure it again"
            )
        return result

    def _context(self) -> int | None:
        """Return how many tokens a request may have, as vLLM tells with its models."""
        answer = loopback.get_json(self._url, "/v1/models", _SECONDS, self._key)
        models = answer.get("data") if isinstance(answer, Mapping) else None
        for one in models if isinstance(models, list) else ():
            if isinstance(one, Mapping) and one.get("id") == self._model:
                length = one.get("max_model_len")
                return length if isinstance(length, int) and length > 0 else None
        return None


def measure_url(url: str, options: Options, say: Say) -> BenchResult:
    """Measure a server that runs already: one start, so no interval.

    Raises:
        LoadFailedError: it cannot be measured.
    """
    asked = load_workload(options.workload or "mixed-small", parse_windows(options.windows))
    live = RemoteServer(url, options, say)
    measured = live.announce(asked)
    load = live.run(asked, options.seed)
    if load.failed:
        raise LoadFailedError(f"{url} cannot be measured: {load.failed}")
    valid = [window for window in load.windows if not window.void]
    if not valid:
        reasons = sorted({reason for window in load.windows for reason in window.void})
        raise LoadFailedError(
            f"{url} cannot be measured: {'; '.join(reasons) or 'no window ended'}"
        )
    found = start_metrics(valid)
    request = StartRequest(Phase.CONFIRM, 0, url, BASELINE, options.seed)
    start = Start(1, request, "", Outcome.MEASURED, found, load.windows, marks=load.marks)
    return BenchResult(
        measures=measured,
        target=url,
        starts=1,
        attempts=1,
        metrics=tuple(
            blocks.MetricSummary(
                key, METRICS[key].unit, value, None, None, 1, no_interval_reason(1)
            )
            for key, value in found.items()
            if key in METRICS
        ),
        notes=tuple(remarks([start], options.objective, found)),
    )
