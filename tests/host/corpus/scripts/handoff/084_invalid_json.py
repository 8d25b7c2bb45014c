import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
with open(path, "wb") as file:
    file.write(b'{"version": 1, "ended": "returned", }')
os._exit(0)
