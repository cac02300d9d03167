"""Many event streams at one gateway: from a change to its being read by who watches, and what a watcher costs.

bench/events.c is the server's side, bench/listeners.c all of the clients. Each watches one task; changes come at a steady pace.
"""
import os
import resource
import subprocess
import sys
import time

WATCHERS = 10000
RATE = 1000
SECONDS = 10


class Server:
    def __init__(self, program, folder, tasks):
        self.process = subprocess.Popen([program, folder, str(tasks)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = self.process.stdout.readline().strip().rsplit(":", 1)[1]
        self.ids = [self.process.stdout.readline() for _ in range(tasks)]

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return list(map(int, self.process.stdout.readline().split()))

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Listeners:
    def __init__(self, program, server):
        ours, self.orders = os.pipe()

        def keep():
            os.dup2(ours, 3)

        self.process = subprocess.Popen([program, server.port, "bench"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=keep, pass_fds=[3])
        os.close(ours)
        self.process.stdin.writelines(server.ids)
        self.process.stdin.close()
        self.count = int(self.process.stdout.readline())

    def report(self):
        os.write(self.orders, b"\n")
        return list(map(int, self.process.stdout.readline().split()))

    def stop(self):
        os.close(self.orders)
        self.process.wait()


def raise_descriptors(wanted):
    """Each of the two programs has a descriptor a watcher."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"events: {wanted} open files are needed, and no more than {hard} are allowed: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def measure(programs, folder):
    raise_descriptors(WATCHERS + 200)
    server = Server(os.path.join(programs, "events"), folder, WATCHERS)
    before, *_ = server.ask("tell")
    listeners = Listeners(os.path.join(programs, "listeners"), server)
    time.sleep(1)
    after, _, streams, _ = server.ask("tell")
    print(f"events, {streams} streams, each of one task:")
    print(f"  {(after - before) / streams:.1f} KiB a watcher (the kernel's sockets aside)")
    idle = server.ask("tell")[1]
    time.sleep(15)
    idle = (server.ask("tell")[1] - idle) / 15e6
    print(f"  {100 * idle:.1f} % of a core while nothing changes (a heartbeat each 15 s)")
    for rate in (RATE // 10, RATE):
        listeners.report()
        spent = server.ask("tell")
        (said,) = server.ask(f"say {rate} {SECONDS}")
        time.sleep(1)
        now = server.ask("tell")
        heard, median, p99, p999, most = listeners.report()
        if heard != said:
            sys.exit(f"{said} changes were published, {heard} events came")
        print(f"  {said / SECONDS:.0f} changes a second: change to client p50 {median / 1000:.1f} ms, p99 {p99 / 1000:.1f} ms, p99.9 {p999 / 1000:.1f} ms, "
              f"longest {most / 1000:.1f} ms; {(now[1] - spent[1]) / said:.0f} us CPU each")
    listeners.stop()
    server.stop()
