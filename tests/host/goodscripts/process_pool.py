import concurrent.futures
import json
import os


def banked(bank):
    if bank == 7:
        raise KeyError("bank 7 is masked")
    return bank, sum(range(bank * 1000)), os.getpid()


def main(input_file, output_dir):
    with concurrent.futures.ProcessPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(banked, bank) for bank in range(8)]
        done = [job.result(60) for job in jobs[:7]]
        failure = jobs[7].exception(60)
    with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
        lengths = list(pool.map(len, ["a", "bb", "ccc"]))
    values = {
        "sums": [total for _, total, _ in done],
        "elsewhere": all(pid != os.getpid() for _, _, pid in done),
        "failure": repr(failure),
        "lengths": lengths,
    }
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
