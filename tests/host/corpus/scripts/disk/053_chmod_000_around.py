import os
import tempfile

with open("a.txt", "w") as file:
    file.write("a")
out = os.getcwd()
for folder in (out, os.path.dirname(out), os.environ["HOME"], tempfile.gettempdir(), "/dev/shm"):
    os.chmod(folder, 0)
print("shut", flush=True)
