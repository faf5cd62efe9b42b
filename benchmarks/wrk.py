"""The same closed loop by wrk, where it is installed: a check on our own load generator.

Both must see the same rate; a machine without wrk lacks only this line of the table. wrk does not
know open loops, gRPC, or whether an answer is right, so it measures nothing else.
"""

import json
import resource
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.corpus import CORPORA
from benchmarks.measurement import Measurement, ScenarioFailed, around
from benchmarks.plan import Plan
from benchmarks.recorder import Load
from benchmarks.services import Services
from benchmarks.ways import Rest

_US_PER_MS = 1_000
_US_PER_S = 1_000_000
_BODIES = "bodies"
# A line of the file is a body; JSON has no line breaks of its own.
_SCRIPT = """
local bodies = {}
for line in io.lines(FILE) do bodies[#bodies + 1] = line end
local headers = { ["content-type"] = "application/json" }
local at = 0
function request()
  at = at % #bodies + 1
  return wrk.format("POST", PATH, headers, bodies[at])
end
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\\n{"calls": %d, "us": %d, "p50": %f, "p90": %f, "p99": %f, "failed": %d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(90),
    latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


def is_installed() -> bool:
    """Whether there is a wrk."""
    return shutil.which("wrk") is not None


def measure_wrk(plan: Plan, services: Services) -> Measurement:
    """Runs a closed loop of single texts over REST.

    Raises:
        ScenarioFailed: a call failed.
    """
    texts = CORPORA[plan.corpus](plan.corpus_texts, plan.seed)
    rest = Rest(plan.authority, bulk_is_known=False)
    with TemporaryDirectory() as name:
        folder = Path(name)
        bodies = (rest.call([text], bulk=False).wire.partition(b"\r\n\r\n")[2] for text in texts)
        (folder / _BODIES).write_bytes(b"\n".join(bodies))
        known = f"FILE = {json.dumps(str(folder / _BODIES))}\nPATH = {json.dumps(rest.path)}\n"
        (folder / "script.lua").write_text(known + _SCRIPT)
        _run(folder, plan, plan.warm_up_s)
        return around(services, lambda: _run(folder, plan, plan.measure_s))


def _run(folder: Path, plan: Plan, seconds: float) -> Load:
    cpu_before_s = _children_cpu_s()
    # wrk counts whole seconds.
    arguments = ["-t1", f"-c{plan.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    command = ["wrk", *arguments, "-s", "script.lua", f"http://{plan.authority}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise ScenarioFailed(f"wrk: {done.stderr.strip()}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"] or not found["calls"]:
        raise ScenarioFailed(f"wrk: {found['failed']} of {found['calls']} calls failed")
    return Load(
        calls=found["calls"],
        sentences=found["calls"],
        sentences_per_s=found["calls"] * _US_PER_S / found["us"],
        p50_ms=found["p50"] / _US_PER_MS,
        p90_ms=found["p90"] / _US_PER_MS,
        p99_ms=found["p99"] / _US_PER_MS,
        late_p99_ms=0,
        generator_cpu_s=_children_cpu_s() - cpu_before_s,
        total_calls=found["calls"],
    )


def _children_cpu_s() -> float:
    """Processor seconds of the processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
