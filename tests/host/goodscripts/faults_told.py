import faulthandler
import json
import os
import subprocess
import sys


def main(input_file, output_dir):
    values = {"on": faulthandler.is_enabled()}
    with open("stacks", "w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        faulthandler.dump_traceback_later(600, file=file)
        faulthandler.cancel_dump_traceback_later()
        file.seek(0)
        values["stack"] = "reduce.py\", line 11 in main" in file.read()
    crash = [sys.executable, "-X", "faulthandler", "-c", "import ctypes; ctypes.string_at(0)"]
    ended = subprocess.run(crash, capture_output=True, text=True)
    values["child"] = ended.returncode
    values["said"] = "Segmentation fault" in ended.stderr
    values["cores"] = [name for name in os.listdir(".") if "core" in name]
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
