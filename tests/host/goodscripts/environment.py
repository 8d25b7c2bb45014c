import json
import os
import sys


def main(input_file, output_dir):
    values = {name: value for name, value in os.environ.items() if name != "AUTOREDUCE_BOX"}
    before = sorted(os.environ)
    values["at home"] = os.listdir(os.environ["HOME"])
    os.environ.clear()
    os.environ["MINE"] = "1"
    values["own"] = os.popen("echo $MINE").read()
    values["token"] = "AUTOREDUCE_BOX" in before
    values["mask"] = oct(os.umask(0o022))
    values["path"] = sys.path[:2]
    values["descriptors"] = sorted(int(name) for name in os.listdir("/proc/self/fd"))[:3]
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
