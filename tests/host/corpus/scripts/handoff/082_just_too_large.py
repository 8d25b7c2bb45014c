import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
with open(path, "wb") as file:
    file.write(b" " * (1024 * 1024 + 1))
os._exit(0)
