import zlib

packer = zlib.compressobj(1)
zeros = bytes(1 << 20)
packed = b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
print("packed", len(packed) < 4 << 20, flush=True)
print("unpacked", len(zlib.decompress(packed)), flush=True)
