import errno
import os

os.close(1)
os.close(2)
try:
    os.write(1, b"said")
    told = "said"
except OSError as error:
    told = errno.errorcode[error.errno]
with open("told.txt", "w") as file:
    file.write(told)
