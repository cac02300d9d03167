"""Many tasks at one upstream: when filmgate learns that a job is done, what it asks for that, and what a task costs it.

The upstream is bench/upstream.c: durations are lognormal, median 60 s, sigma 0.3, drawn from a fixed seed; filmgate is told
neither. Half of the tasks go to a channel that tells nothing but «processing», half to one that tells a percentage.
"""
import http.client
import json
import math
import os
import subprocess
import sys
import threading
import time
import urllib.request

SEED = 20
MEDIAN_MS, SIGMA = 60000, 0.3
EVERY_MS = 500  # at least, between two polls of a task: the adapter's own 5 seconds say nothing of what filmgate can do
CREATORS = 16
FILMS = 8

CONFIG = """
limits: {{queue: 1000000}}
tenants: {{max_in_flight: 0}}
upstream: {{result: 1MiB}}
channels:
  - {{name: plain, adapter: unified, models: [plain], base_url: "{url}/plain/{median}/{sigma}", key: k, concurrency: 10000, poll_every: {every}ms}}
  - {{name: told, adapter: unified, models: [told], base_url: "{url}/told/{median}/{sigma}", key: k, concurrency: 10000, poll_every: {every}ms}}
  - {{name: film, adapter: unified, models: [film], base_url: "{url}/film/1000/{sigma}", key: k, poll_first: 500ms, poll_every: {every}ms}}
"""


def config(upstream):
    return CONFIG.format(url=upstream.url, median=MEDIAN_MS, sigma=int(SIGMA * 1000), every=EVERY_MS)


class Upstream:
    def __init__(self, program, folder):
        film = os.path.join(folder, "film.mp4")
        subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=30:duration=2", "-c:v", "libx264",
                        "-pix_fmt", "yuv420p", film], check=True)
        self.process = subprocess.Popen([program, str(SEED), film], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().strip()}"

    def lines(self, kind):
        """Of each job of a kind: duration, when it was taken, polls, when its end was told and its result asked for; 0: not yet."""
        with urllib.request.urlopen(f"{self.url}/jobs") as answer:
            lines = [line.split() for line in answer.read().decode().splitlines()]
        return [list(map(float, line[1:])) for line in lines if line[0] == kind]

    def jobs(self, kind, first=0):
        """(duration, polls, told so long after its end, asked for after its end), in milliseconds; None: not yet."""
        return [(took, polls, told - taken - took if told else None, fetched - taken - took if fetched else None)
                for took, taken, polls, told, fetched in self.lines(kind)[first:]]

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


def figure(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def create(gateway, models):
    """One task of each model in the list, by CREATORS connections at once; their ids."""
    host = gateway.url.removeprefix("http://")
    ids, todo, lock = [], list(reversed(models)), threading.Lock()

    def work():
        connection = http.client.HTTPConnection(host)
        headers = {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"}
        while True:
            with lock:
                if not todo:
                    return
                model = todo.pop()
            body = json.dumps({"model": model, "prompt": "-", "duration": 4})
            connection.request("POST", "/v1/video/create", body, headers)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                sys.exit(f"a create was answered with {answer.status}: {text}")
            with lock:
                ids.append(json.loads(text)["id"])

    threads = [threading.Thread(target=work) for _ in range(CREATORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ids


def resident(pid):
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


TAKEN, FETCHED = 0, 3  # places in a row of Upstream.jobs()


def await_jobs(upstream, kinds, first, count, place, pause_s=2):
    """Until `count` jobs of each kind, from its `first` on, have a value at `place`."""
    until = time.monotonic() + 600
    while time.monotonic() < until:
        rows = [upstream.jobs(kind, first[kind]) for kind in kinds]
        if all(len(some) >= count and all(row[place] is not None for row in some[:count]) for some in rows):
            return rows
        time.sleep(pause_s)
    sys.exit("not all jobs came to their end")


# ---- the crowd ----

def fixed(rows, every_ms):
    """What asking each job at a fixed interval would have cost and shown, by the durations that were drawn."""
    polls = [math.ceil(row[0] / every_ms) for row in rows]
    return sum(polls) / len(rows), [n * every_ms - row[0] for n, row in zip(polls, rows)]


def show(name, polls, lags):
    print(f"    {name:34} {polls:5.1f} polls a task, lag p50 {figure(lags, 0.5) / 1000:6.2f} s, p99 {figure(lags, 0.99) / 1000:6.2f} s")


def crowd(gateway, upstream, count, cpu, best):
    """`count` tasks at once. Their results announce more than filmgate may fetch, so that it lets go of each as soon as it has
    asked for it: no film is probed or made here."""
    kinds = ("plain", "told")
    pid = gateway.process.pid
    first = {kind: len(upstream.jobs(kind)) for kind in kinds}
    spent = cpu()
    begun, resident_then = count // 5, 0
    for part in (begun, count - begun):
        create(gateway, list(kinds) * (part // 2))
        resident_then, resident_before = resident(pid), resident_then
        await_jobs(upstream, kinds, first, part // 2 if part == begun else count // 2, TAKEN)
        resident_then = resident(pid)
    spent_taken = cpu()
    memory = (resident_then - resident_before) / (count - begun)
    rows = await_jobs(upstream, kinds, first, count // 2, FETCHED)
    spent_all = cpu()
    polls = sum(row[1] for some in rows for row in some)
    for kind, some in zip(kinds, rows):
        name = "filmgate, told nothing" if kind == "plain" else "filmgate, told a percentage"
        show(name, sum(row[1] for row in some) / len(some), [row[FETCHED] for row in some])
    drawn = rows[0] + rows[1]
    for every_s in (2, 5, 15):
        show(f"every {every_s} s", *fixed(drawn, every_s * 1000))
    for late_s, needed in best.items():
        print(f"    {'best schedule, told nothing':34} {needed:5.1f} polls a task, lag p99 {late_s:14.2f} s")
    print(f"    processor: {(spent_taken - spent) / count * 1e3:.2f} ms a task until it is at the upstream, then {(spent_all - spent_taken) / polls * 1e3:.2f} ms a poll, "
          f"{(spent_all - spent) / count * 1e3:.1f} ms a task in all (main process and helpers)")
    print(f"    memory: {memory / 1024:.1f} KiB a task in flight, of the main process", flush=True)


# ---- bringing home ----

def films(gateway, upstream, cpu):
    """One at a time, with a result that is a film of 2 s, 320x180: from the asking for it to a query that says completed."""
    lags, spent = [], cpu()
    for number in range(FILMS):
        task = create(gateway, ["film"])[0]
        await_jobs(upstream, ["film"], {"film": number}, 1, FETCHED, 0.01)
        fetched_ms = upstream.lines("film")[number][4]
        for _ in range(6000):
            state = json.loads(gateway_query(gateway, task))["status"]
            if state != "pending":
                break
            time.sleep(0.01)
        if state != "completed":
            sys.exit(f"a film ended as {state}")
        lags.append(time.monotonic() * 1000 - fetched_ms)
    print(f"  {FILMS} films of 2 s, one at a time: from asking for the result to a query that says completed (fetched, probed, thumbnail and preview made, stored)")
    print(f"    p50 {figure(lags, 0.5) / 1000:.2f} s, longest {max(lags) / 1000:.2f} s; processor {(cpu() - spent) / FILMS:.2f} s a film")


def gateway_query(gateway, task):
    request = urllib.request.Request(f"{gateway.url}/v1/video/query?id={task}", headers={"Authorization": f"Bearer {gateway.key}"})
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def measure(gateway, upstream, schedule, cpu):
    late_s = (2, 5)
    output = subprocess.run([schedule, str(MEDIAN_MS), str(SIGMA), *(str(s * 1000) for s in late_s)], check=True, capture_output=True, text=True).stdout
    best = dict(zip(late_s, map(float, output.split())))
    print(f"tasks at an upstream: durations lognormal, median {MEDIAN_MS // 1000} s, sigma {SIGMA}, seed {SEED}; unified adapter, poll_every {EVERY_MS} ms.")
    print("Lag: from the job's end there to filmgate's asking for the result, which follows its commit of that end.")
    for count, what in ((1000, "nothing learned before"), (10000, "learned of the thousand before")):
        print(f"  {count} at once, {what}; half of them told nothing, half a percentage:", flush=True)
        crowd(gateway, upstream, count, cpu, best)
    films(gateway, upstream, cpu)
