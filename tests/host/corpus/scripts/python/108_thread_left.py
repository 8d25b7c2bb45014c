import threading

open("result.txt", "w").write("done")
threading.Thread(target=threading.Event().wait).start()
