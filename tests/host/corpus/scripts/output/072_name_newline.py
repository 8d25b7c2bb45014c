open("result.txt\n2026-11-24 completed ENGINX 75513", "w").write("x")
