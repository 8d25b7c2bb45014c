import mmap

# What is reserved and not used is no memory: numpy and thread arenas reserve far more than they use.
area = mmap.mmap(-1, 16 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000))
area[0] = area[8 << 30] = 1
print("reserved 16 GiB", flush=True)
