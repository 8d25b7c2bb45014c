import importlib
import json
import os
import runpy
import subprocess
import sys


def main(input_file, output_dir):
    with open("calibration.py", "w") as file:
        file.write("OFFSET = 17\n")
    os.makedirs("masks/deep")
    for path, text in (("masks/__init__.py", "from masks.deep import north\n"), ("masks/deep/__init__.py", ""), ("masks/deep/north.py", "BANK = [1, 2]\n")):
        open(path, "w").write(text)
    importlib.invalidate_caches()
    import calibration
    import masks

    with open("calibration.py", "w") as file:
        file.write("OFFSET = 1234\n")
    sys.path.insert(0, os.path.join(output_dir, "lib"))
    os.makedirs(os.path.join(output_dir, "lib"))
    open(os.path.join(output_dir, "lib", "helpers.py"), "w").write("def half(x): return x / 2\n")
    import helpers

    open("program", "w").write("#!/bin/sh\necho from a program of its own $1\n")
    os.chmod("program", 0o755)
    values = {
        "module": calibration.OFFSET,
        "package": masks.north.BANK,
        "reloaded": importlib.reload(calibration).OFFSET,
        "helper": helpers.half(5),
        "run": runpy.run_path("calibration.py")["OFFSET"],
        "program": subprocess.run(["./program", "ok"], capture_output=True, text=True).stdout,
        "compiled": [name for name in os.listdir(".") if name == "__pycache__"],
        "itself": os.path.basename(__file__),
        "text": "OFFSET" in open(__file__).read(),
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
