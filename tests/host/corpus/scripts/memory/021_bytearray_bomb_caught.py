# A script that catches everything cannot swallow the limit.
kept = []
try:
    for _ in range(512):
        kept.append(bytearray(b"x") * (1 << 20))
except BaseException as error:
    print("swallowed", type(error).__name__, flush=True)
print("survived", flush=True)
