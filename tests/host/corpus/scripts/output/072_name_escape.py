open("\x1b[2J\x1b]0;owned\x07.txt", "w").write("x")
