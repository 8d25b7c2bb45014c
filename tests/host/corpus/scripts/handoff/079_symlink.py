import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
os.symlink("/etc/passwd", path)
print("link: done")
os._exit(0)
