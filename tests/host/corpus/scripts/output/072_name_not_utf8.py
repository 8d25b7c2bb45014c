open(b"\xff\xfe\x80.txt", "w").write("x")
