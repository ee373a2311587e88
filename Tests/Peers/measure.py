"""measure.py REPORT COMMAND...: runs the command and writes its CPU time and peak memory to REPORT as JSON."""

import json
import resource
import subprocess
import sys

try:
    code = subprocess.call(sys.argv[2:], timeout=20)
except subprocess.TimeoutExpired:
    code = 124
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
with open(sys.argv[1], "w") as report:
    json.dump({"cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_mb": usage.ru_maxrss / unit}, report)
sys.exit(code if code >= 0 else 128 - code)
