import os
import subprocess

if os.getppid() != 1 or not os.path.isdir("/run/handoff"):
    raise SystemExit("not in a box")
places = ["/tmp", "/dev/shm", "/work", "/run/handoff", "/run/script", os.environ["HOME"]]
found = [os.path.join(folder, name) for folder in places if os.path.isdir(folder) for name in os.listdir(folder)]
# Not what leads to the interpreter, where that lies below one of them.
found = [path for path in found if not os.path.ismount(path) and os.access(os.path.dirname(path), os.W_OK)]
subprocess.run(["rm", "-rf", *places, *found], stderr=subprocess.DEVNULL)
with open("a.txt", "w") as file:
    file.write("a")
print("removed", flush=True)
