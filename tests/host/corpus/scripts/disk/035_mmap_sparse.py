import mmap

# The pages of a sparse file are made by touching them; where there is no room, that is SIGBUS.
areas = []
for number in range(2):
    file = open(f"{number}.dat", "w+b")
    file.truncate(7 << 20)
    areas.append(mmap.mmap(file.fileno(), 7 << 20))
print("mapped", flush=True)
for area in areas:
    for at in range(0, 7 << 20, 4096):
        area[at] = 1
print("written", flush=True)
