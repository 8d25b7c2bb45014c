import os

os.getpid()
raise ValueError("café")
