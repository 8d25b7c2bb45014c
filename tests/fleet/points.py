"""Shows the fail-points that the stories of the fleet tests reach; `--write` makes `points.json` say the same.

python tests/fleet/points.py --write
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT)]

import activemq  # noqa: E402  # ditto
import faultpoints  # noqa: E402  # found on the path above


def main() -> int:
    """Generate the list; return 1 when the committed one says something else."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write points.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        broker = activemq.ActiveMQ(Path(folder))
        broker.start()
        try:
            points = faultpoints.generate(broker.port)
        finally:
            broker.kill()
    if options.write:
        faultpoints.write(points)
        print(f"{len(points)} points written to {faultpoints.LIST.relative_to(ROOT)}")
        return 0
    for point in points:
        print(point.name)
    return int(faultpoints.labels(points) != faultpoints.labels(faultpoints.load()))


if __name__ == "__main__":
    sys.exit(main())
