# Opening it for reading would wait for a writer for ever.
import os

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
os.mkfifo(path)
os._exit(0)
