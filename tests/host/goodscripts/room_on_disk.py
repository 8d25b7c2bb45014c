import json
import os
import shutil
import subprocess


def main(input_file, output_dir):
    places = {"out": output_dir, "work": os.getcwd(), "home": os.environ["HOME"], "tmp": os.environ["TMPDIR"], "data": os.path.dirname(input_file), "shm": "/dev/shm"}
    values = {}
    for name, place in places.items():
        usage, room = shutil.disk_usage(place), os.statvfs(place)
        values[name] = [usage.total > 0, room.f_namemax, os.access(place, os.W_OK)]
    values["free"] = shutil.disk_usage(output_dir).free > 10 << 20
    values["df"] = subprocess.run(["df", "-k", output_dir], capture_output=True).returncode
    with open(os.path.join(output_dir, "preallocated"), "wb") as file:
        os.posix_fallocate(file.fileno(), 0, 1 << 20)
    with open("sparse", "wb") as file:
        file.truncate(1 << 30)
    os.unlink("sparse")
    values["preallocated"] = os.path.getsize(os.path.join(output_dir, "preallocated"))
    with open(input_file, "rb") as data, open("sent", "wb") as copy:
        values["sent"] = os.sendfile(copy.fileno(), data.fileno(), 0, 1 << 20) == os.path.getsize(input_file)
    os.sync()
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
