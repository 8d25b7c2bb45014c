import errno
import os

from reduce_vars import standard_vars

folder = os.path.dirname(standard_vars["foreign"])
os.symlink(folder, "d")
for act, name, mode in (("write", "planted.txt", "w"), ("read", os.path.basename(standard_vars["foreign"]), "r")):
    try:
        open(f"d/{name}", mode).close()
        print(f"{act}: done")
    except OSError as error:
        print(f"{act}:", errno.errorcode[error.errno])
open("result.txt", "w").write("beside it")
