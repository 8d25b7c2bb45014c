import json
import os
import sys


def reduce_data(data_file, out_dir):
    """Sum the counts of each bank."""
    counts = [int(word) for word in open(data_file).read().split()[1:]]
    record = {"run": os.path.basename(data_file), "banks": counts, "total": sum(counts)}
    with open(out_dir + "summary.json", "w") as out:
        json.dump(record, out)
    for bank in range(9):
        print(bank, counts[bank])  # ends here


if __name__ == "__main__":
    reduce_data(sys.argv[1], sys.argv[2])
