# Whoever has only itself in its user namespace can give a file to nobody and become nobody.
for name in ("uid_map", "gid_map"):
    ranges = [line.split() for line in open(f"/proc/self/{name}")]
    print(f"{name}:", len(ranges), "of", sum(int(count) for _, _, count in ranges))
print("setgroups:", open("/proc/self/setgroups").read().strip())
