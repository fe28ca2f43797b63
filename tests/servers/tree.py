"""A small HTTP server with a process tree of chosen manners: ``tree.py serve MODEL flags``.

Every process of the tree appends its id to the file named by TREE_PIDS. Manners (--manner):
plain (a child that sleeps), stubborn (a child that ignores SIGTERM), escape (a grandchild of
another session that ignores SIGTERM), early (ends with an error), silent (never serves),
taken (says that its port is in use, until TREE_TAKEN has been appended to twice), look (writes
what it inherited to TREE_LOOK).
"""

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"data": [{"id": "tree"}]}).encode() if "models" in self.path else b""
        self.send_response(200 if self.path in ("/health", "/v1/models") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def note() -> None:
    with Path(os.environ["TREE_PIDS"]).open("a") as pids:
        pids.write(f"{os.getpid()}\n")


def sleeper(*, stubborn: bool) -> None:
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note()
    while True:
        time.sleep(1)


def child(manner: str) -> None:
    if os.fork() == 0:
        if manner == "escape":
            os.setsid()
            if os.fork() != 0:
                os._exit(0)
        sleeper(stubborn=manner != "plain")


def wait_for_pids(count: int) -> None:
    while len(Path(os.environ["TREE_PIDS"]).read_text().splitlines()) < count:
        time.sleep(0.01)


def look() -> None:
    found = {
        "fds": sorted(int(fd.name) for fd in Path("/proc/self/fd").iterdir()),
        "sigint_ignored": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "sighup_ignored": signal.getsignal(signal.SIGHUP) == signal.SIG_IGN,
    }
    Path(os.environ["TREE_LOOK"]).write_text(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("serve")
    parser.add_argument("model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--manner", default="plain")
    args = parser.parse_args()
    note()
    if args.manner == "early":
        print("starting", flush=True)
        print("ValueError: the planted cause", flush=True)
        sys.exit(3)
    if args.manner == "silent":
        print("loading forever", flush=True)
        sleeper(stubborn=False)
    if args.manner == "taken":
        with Path(os.environ["TREE_TAKEN"]).open("a+") as tries:
            tries.write("x")
            tries.seek(0)
            if len(tries.read()) < 3:
                print("OSError: [Errno 98] Address already in use", flush=True)
                sys.exit(1)
    if args.manner == "look":
        look()
    else:
        child(args.manner)
        wait_for_pids(2)
    with HTTPServer((args.host, args.port), Handler) as server:
        server.serve_forever()


main()
