open("result\u202etxt.exe", "w").write("x")
