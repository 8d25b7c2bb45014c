import subprocess
from concurrent.futures import ProcessPoolExecutor

with ProcessPoolExecutor(2) as pool:
    print("executor:", sum(pool.map(abs, [-1, -2, -3])))
pipeline = subprocess.run("seq 1 100 | sort -rn | head -1", shell=True, capture_output=True, text=True)
print("pipeline:", pipeline.stdout.strip(), pipeline.stderr.strip())
