import glob
import json
import os
import pathlib


def main(input_file, output_dir):
    folder = os.path.dirname(input_file)
    number = int(os.path.basename(input_file)[6:14])
    before = os.path.join(folder, "ENGINX%08d.nxs" % (number - 1))
    values = {
        "before": os.path.getsize(before) > 0,
        "log": open(input_file.replace(".nxs", ".log")).read(),
        "list": sorted(os.listdir(folder)),
        "glob": [os.path.basename(path) for path in sorted(glob.glob(os.path.join(folder, "*.nxs")))],
        "walk": sorted(os.path.relpath(os.path.join(base, name), folder) for base, _, names in os.walk(folder) for name in names),
        "rglob": len(list(pathlib.Path(folder).rglob("*"))),
        "scan": sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()),
        "link": open(os.path.join(folder, "latest.nxs"), "rb").read(8) == open(before, "rb").read(8),
        "real": os.path.basename(os.path.realpath(os.path.join(folder, "latest.nxs"))),
        "readable": os.access(input_file, os.R_OK),
        "writable": os.access(input_file, os.W_OK),
        "newer": os.path.getmtime(input_file) > 1e9,
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
