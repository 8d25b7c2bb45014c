import json
import os
import select
import signal
import subprocess
import threading


def main(input_file, output_dir):
    values, heard = {}, []
    signal.signal(signal.SIGUSR1, lambda number, _: heard.append(number))
    os.kill(os.getpid(), signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR1)
    values["usr1"] = len(heard)

    class Late(Exception):
        pass

    def late(*_):
        raise Late

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        signal.pause()
    except Late:
        values["alarm"] = "came"
    values["left"] = signal.alarm(0)
    child = subprocess.Popen(["sleep", "600"])
    child.terminate()
    values["child"] = child.wait()
    child = subprocess.Popen(["sleep", "600"])
    os.kill(child.pid, signal.SIGSTOP)
    values["stopped"] = os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
    os.kill(child.pid, signal.SIGCONT)
    fd = os.pidfd_open(child.pid)
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    values["pidfd"] = len(select.select([fd], [], [], 60)[0])
    values["killed"] = child.wait()
    os.close(fd)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    os.kill(os.getpid(), signal.SIGUSR2)
    values["waited"] = signal.sigwait([signal.SIGUSR2]) == signal.SIGUSR2
    rang = threading.Event()
    threading.Timer(0.01, rang.set).start()
    values["timer"] = rang.wait(60)
    counter = os.eventfd(3)
    poll = select.epoll()
    poll.register(counter, select.EPOLLIN)
    values["eventfd"] = [len(poll.poll(60)), os.eventfd_read(counter)]
    memory = os.memfd_create("counts")
    values["memfd"] = os.write(memory, b"12345")
    try:
        subprocess.run(["sleep", "600"], timeout=0.05)
    except subprocess.TimeoutExpired:
        values["timeout"] = "came"
    values["interrupt"] = "not seen"
    try:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(60)
    except KeyboardInterrupt:
        values["interrupt"] = "seen"
    json.dump(values, open(os.path.join(output_dir, "values.json"), "w"))
