import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
with open(path, "wb") as file:
    file.write(b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
os._exit(0)
