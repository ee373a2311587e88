"""Runs a command and says what came of it."""

import json
import pathlib
import subprocess
import sys
from dataclasses import dataclass

MEASURE = pathlib.Path(__file__).with_name("measure.py")


@dataclass
class Result:
    arguments: str
    code: int
    out: str
    err: str
    cpu_seconds: float = 0
    peak_mb: float = 0

    def json(self):
        return json.loads(self.out)

    def __str__(self):
        return f"`{self.arguments}` exited with {self.code}\n--- stdout\n{self.out[-2000:]}\n--- stderr\n{self.err[-2000:]}"


class Command:
    def __init__(self, path):
        self.path = str(path)

    def run(self, *arguments, cwd=None, **options):
        words = [self.path, *map(str, arguments)]
        done = subprocess.run(words, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, errors="replace", **options)
        return Result(" ".join(words), done.returncode, done.stdout, done.stderr)

    def measured(self, *arguments, cwd):
        """Runs it under a launcher that is small, so that the peak of its memory is its own."""
        report = pathlib.Path(cwd).with_suffix(".usage")
        launcher = Command(sys.executable)
        result = launcher.run("-SE", MEASURE, report, self.path, *arguments, cwd=cwd)
        usage = json.loads(report.read_text())
        result.cpu_seconds, result.peak_mb = usage["cpu_seconds"], usage["peak_mb"]
        return result

    def expect(self, code, *arguments, **options):
        result = self.run(*arguments, **options)
        assert result.code == code, f"expected exit code {code}: {result}"
        return result

    def succeed(self, *arguments, **options):
        return self.expect(0, *arguments, **options)

    def json(self, *arguments, code=0):
        return self.expect(code, *arguments, "--json").json()
