import json
import multiprocessing
import os
import subprocess

import psutil


def main(input_file, output_dir):
    mine = os.sched_getaffinity(0)
    values = {
        "affinity": len(mine),
        "nproc": int(subprocess.run(["nproc"], env={}, capture_output=True).stdout),
        "all": [os.cpu_count(), multiprocessing.cpu_count(), psutil.cpu_count()],
        "psutil": len(psutil.Process().cpu_affinity()),
        "load": len(os.getloadavg()),
        "configured": os.sysconf("SC_NPROCESSORS_ONLN"),
    }
    os.sched_setaffinity(0, {min(mine)})
    values["narrowed"] = len(os.sched_getaffinity(0))
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
