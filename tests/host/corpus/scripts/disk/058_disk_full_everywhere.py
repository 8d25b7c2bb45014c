import errno
import os
import tempfile
import time

# Every place that can be written is filled, errors are swallowed, and the script ends well, without any result.
answers = set()
for folder in (tempfile.gettempdir(), "/dev/shm", os.environ["HOME"], os.getcwd(), "/run/handoff", "/work"):
    if not os.access(folder, os.W_OK):
        continue
    for number in range(64):
        try:
            with open(os.path.join(folder, f"fill{number}"), "wb", buffering=0) as file:
                file.write(bytes(1 << 20))
        except OSError as error:
            answers.add(errno.errorcode[error.errno])
            break
print("full:", *sorted(answers), flush=True)
# Where scratch is watched, it is looked at each second.
time.sleep(1.5)
for number in range(64):
    if os.path.exists(f"fill{number}"):
        os.unlink(f"fill{number}")
