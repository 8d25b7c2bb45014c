import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
os.mkdir(path)
os._exit(0)
