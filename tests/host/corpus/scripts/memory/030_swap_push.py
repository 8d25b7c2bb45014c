import ctypes
import mmap

# Whatever can be pushed out to swap is no memory any more: keep touching, keep pushing.
libc = ctypes.CDLL(None, use_errno=True)
MADV_COLD, MADV_PAGEOUT = 20, 21
kept = []
for number in range(512):
    area = mmap.mmap(-1, 1 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, 1 << 20, 4096):
        area[at] = number % 255 + 1
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    for advice in (MADV_COLD, MADV_PAGEOUT):
        libc.madvise(ctypes.c_void_p(address), 1 << 20, advice)
    kept.append(area)
print("survived with", len(kept), "MiB", flush=True)
