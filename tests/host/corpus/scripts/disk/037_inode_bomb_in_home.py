import os
import time

# What is made in the private folders fills the same disk.
for number in range(5000):
    os.mknod(os.path.join(os.environ["HOME"], f".{number}"))
# Where scratch is watched, it is looked at each second.
time.sleep(2)
print("made all", flush=True)
