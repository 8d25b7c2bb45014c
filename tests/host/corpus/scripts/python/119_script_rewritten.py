# The text that was checked is the text that runs: a script cannot change it for what looks at it later.
import errno
import os
import sys

path = os.path.abspath(sys.argv[0])
print("path:", path)
for act, change in (
    ("write", lambda: open(path, "a")),
    ("replace", lambda: os.replace(__file__, path + ".old")),
    ("unlink", lambda: os.unlink(path)),
    ("plant", lambda: open(os.path.join(os.path.dirname(path), "reduce_vars.py"), "w")),
    ("mode", lambda: os.chmod(path, 0o777)),
):
    try:
        change()
        print(f"{act}: done")
    except OSError as error:
        print(f"{act}:", errno.errorcode[error.errno])
raise ValueError("the line is shown all the same")
