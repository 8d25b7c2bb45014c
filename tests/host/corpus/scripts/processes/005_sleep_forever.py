import time

print("good night", flush=True)
while True:
    time.sleep(60)
