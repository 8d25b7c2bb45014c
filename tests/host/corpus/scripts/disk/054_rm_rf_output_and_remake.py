import os
import shutil
import sys

out = sys.argv[2]
with open("old.txt", "w") as file:
    file.write("old")
shutil.rmtree(out)
os.makedirs(out)
with open(os.path.join(out, "new.txt"), "w") as file:
    file.write("new")
print("remade", flush=True)
