import os
import socket

path = os.environ["AUTOREDUCE_HANDOFF"] + "/handoff.out.json"
socket.socket(socket.AF_UNIX).bind(path)
os._exit(0)
