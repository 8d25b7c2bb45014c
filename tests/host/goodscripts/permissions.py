import json
import os
import pathlib
import shutil
import stat
import subprocess


def main(input_file, output_dir):
    out = pathlib.Path(output_dir)
    mode = lambda path: oct(stat.S_IMODE(os.stat(path).st_mode))
    before = os.umask(0o027)
    (out / "by mask.txt").write_text("x")
    os.umask(0o000)
    (out / "open").mkdir()
    os.umask(before)
    values = {"mask": mode(out / "by mask.txt"), "folder": mode(out / "open")}
    for bits in (0o600, 0o644, 0o777, 0o400):
        (out / "by mask.txt").chmod(bits)
        values["%o" % bits] = mode(out / "by mask.txt")
    shutil.copy2(input_file, out / "copy.nxs")
    values["copied times"] = abs(os.path.getmtime(out / "copy.nxs") - os.path.getmtime(input_file)) < 1
    shutil.copymode(input_file, out / "by mask.txt")
    os.utime(out / "copy.nxs", (1000, 2000))
    values["times"] = os.path.getmtime(out / "copy.nxs")
    os.chown(out / "copy.nxs", os.getuid(), os.getgid())
    values["mine"] = (out / "copy.nxs").owner()
    os.chmod(out / "copy.nxs", 0)
    os.chmod(out / "copy.nxs", 0o640)
    values["chmod"] = subprocess.call("umask 077 && touch shell && chmod u+x,g+r shell && test -x shell", shell=True)
    values["shell"] = mode("shell")
    values["touch"] = subprocess.call(["touch", "-d", "2020-01-01", "shell"])
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
