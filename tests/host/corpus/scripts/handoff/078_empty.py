import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
with open(path, "wb") as file:
    file.write(b"")
os._exit(0)
