"""Says in short what a report of schemathesis tells; the whole of what it wrote where something failed."""

import json
import pathlib
import sys

what, report, log = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
if not report.exists():
    print(log.read_text(errors="replace")[-8000:])
    print(f"{what}: no report\n0 passed, 1 failed")
    sys.exit(1)
told = json.loads(report.read_text())
failures = [(each["title"], name) for each in told["failures"] for name in each["operations"]]
errors = sum(each["count"] for each in told["errors"])
failed = len(set(failures)) + errors
if failed:
    text = log.read_text(errors="replace")
    print("\n".join(line[:2000] for line in text.splitlines())[:60000])
cases = told["test_cases"]["generated"]
print(f"{what}: {cases} calls in {told['running_time']:.0f} s, seed {told['seed']}, {failed} found")
print(f"{cases - failed} passed, {failed} failed")
sys.exit(1 if failed else 0)
