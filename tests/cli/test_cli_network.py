"""No command but `riemaug study download` speaks to the network."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import riemaug

SOURCES = Path(riemaug.__file__).parent
SPEAKING = {"urllib.request", "urllib.error", "http", "http.client", "requests", "ftplib", "smtplib", "ssl"}
REFUSE = """
import os, socket

def told(kind, address):
    if kind != "getaddrinfo" and not isinstance(address, tuple):
        return  # a path of this machine
    host = address[0] if isinstance(address, tuple) else address
    if host in (None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1"):
        return
    with open(os.environ["ATTEMPTS"], "a") as file:
        print(kind, address, file=file)
    raise OSError("the network is refused")

class Refusing(socket.socket):
    def connect(self, address):
        told("connect", address)
        return super().connect(address)

    def connect_ex(self, address):
        told("connect_ex", address)
        return super().connect_ex(address)

    def sendto(self, *arguments):
        told("sendto", arguments[-1])
        return super().sendto(*arguments)

def getaddrinfo(host, *arguments, known=socket.getaddrinfo, **options):
    told("getaddrinfo", host)
    return known(host, *arguments, **options)

socket.socket, socket.getaddrinfo = Refusing, getaddrinfo
"""
COMMANDS = """
import json, sys
from riemaug.cli.main import main

for command in json.loads(sys.argv[1]):
    sys.argv = ["riemaug", *command]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


def imported(path: Path) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_one_file_alone_imports_what_speaks_to_the_network() -> None:
    speaking = {
        path.relative_to(SOURCES).as_posix() for path in SOURCES.rglob("*.py") if imported(path) & SPEAKING
    }
    assert speaking == {"study/download.py"}


def run_refused(
    code: str, folder: Path, *arguments: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run code in a process whose connections, and those of all its children, are noted and refused."""
    (folder / "sitecustomize.py").write_text(REFUSE, encoding="utf-8")
    attempts = folder / "attempts"
    attempts.touch()
    search = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": search, "ATTEMPTS": str(attempts)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done, attempts.read_text(encoding="utf-8").splitlines()


@pytest.mark.slow
def test_what_refuses_and_notes_connections_does_so(tmp_path: Path) -> None:
    code = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    done, attempts = run_refused(code, tmp_path)
    assert "the network is refused" in done.stderr
    assert attempts


@pytest.mark.slow
def test_no_command_tries_to_reach_the_network(digits: Path, tmp_path: Path) -> None:
    quick = ["--max-epochs", "3", "--per-class", "12", "--quiet"]
    out, more = (str(tmp_path / name) for name in ("out", "more"))
    commands = [
        ["augment", str(digits), out, *quick, "--jobs", "2"],
        ["sample", out, more, "--per-class", "12", "--quiet", "--jobs", "1"],
        ["evaluate", str(digits), out, "--no-gain", "--no-fidelity", "--quiet", "--jobs", "1"],
        ["report", out, "--quiet"],
        ["doctor", "--quiet"],
    ]
    done, attempts = run_refused(COMMANDS, tmp_path, json.dumps(commands))
    assert done.returncode == 0, done.stderr
    assert attempts == []
