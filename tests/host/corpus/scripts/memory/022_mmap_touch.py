import mmap

size = 512 << 20
area = mmap.mmap(-1, size)
print("mapped", flush=True)
for at in range(0, size, 4096):
    area[at] = 1
print("survived", flush=True)
