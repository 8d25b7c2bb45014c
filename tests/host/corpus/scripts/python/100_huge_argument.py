raise ValueError("y" * 100_000_000)
