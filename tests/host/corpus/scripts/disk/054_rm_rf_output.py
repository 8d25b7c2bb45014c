import os
import shutil
import sys

out = sys.argv[2]
with open("a.txt", "w") as file:
    file.write("a")
shutil.rmtree(out)
print("gone:", not os.path.exists(out), flush=True)
