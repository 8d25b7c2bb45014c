import os
import threading

import numpy

print("threads:", os.environ["OPENBLAS_NUM_THREADS"] == str(len(os.sched_getaffinity(0))))
matrix = numpy.arange(300 * 300, dtype=float).reshape(300, 300) / 90_000
product = matrix @ matrix.T
print("symmetric:", bool(numpy.allclose(product, product.T)))
sums = []
workers = [threading.Thread(target=lambda: sums.append(float(numpy.linalg.norm(matrix @ matrix)))) for _ in range(8)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
print("workers:", len(sums), len(set(sums)))
numpy.save("result.npy", product[:10, :10])
