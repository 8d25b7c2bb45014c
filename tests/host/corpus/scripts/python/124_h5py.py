import errno
import fcntl
import os

import h5py
from reduce_vars import standard_vars

source = standard_vars["hdf5"]
with h5py.File(source, "r") as file:
    counts = file["entry/counts"][:]
print("input:", counts.tolist())
try:
    h5py.File(source, "r+")
    print("change of the input: done")
except OSError as error:
    print("change of the input:", errno.errorcode[error.errno] if error.errno else str(error)[:200])
with h5py.File("result.h5", "w") as file:
    file.create_dataset("entry/counts", data=counts * 2, compression="gzip")
with h5py.File("result.h5", "r+") as file:
    file["entry/total"] = int(counts.sum())
with h5py.File("result.h5", "r", locking=True) as file:
    print("result:", file["entry/counts"][:].tolist(), file["entry/total"][()])
fd = os.open("result.h5", os.O_RDWR)
fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
print("locks: done")
