"""Launch a tree server, say "ready KEEPER", and hold it: ``launcher.py FOLDER MANNER``."""

import sys
import time
from pathlib import Path

from tests.servers.tree_engine import TreeEngine
from trimtab.model import Plan, Settings
from trimtab.processes import procfs
from trimtab.server import launcher

folder, manner = Path(sys.argv[1]), sys.argv[2]
setattr(launcher, "GRACE", 1.0)  # noqa: B010 - a name that the module only imports
engine = TreeEngine()
argv = engine.command("m", ["--manner", manner])
plan = Plan((), Settings(argv, env=(("TREE_PIDS", str(folder / "pids")),)))
with launcher.launch(plan, engine, folder, deadline=60) as running:
    stat = procfs.read(running.pid)
    assert stat is not None
    print("ready", stat.ppid, running.port, flush=True)
    time.sleep(600)
