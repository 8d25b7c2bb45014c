print("counting", flush=True)
huge = 9**9**8
print("counted", huge.bit_length(), flush=True)
