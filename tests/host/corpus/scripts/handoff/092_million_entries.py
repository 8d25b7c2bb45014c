import json
import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
claim = {
    "version": 1, "ended": "returned", "exception_type": "", "exception_text": "", "line": None, "traceback": "",
    "extra_dirs": [], "skip_reason": "", "message": "", "exit_code": None,
    "environment": {"python": "3.11.7", "implementation": "CPython", "executable": "/usr/bin/python3", "packages": {}},
}
claim["extra_dirs"] = ["/"] * 1_000_000
with open(path, "w") as file:
    json.dump(claim, file, separators=(",", ":"))
os._exit(0)
