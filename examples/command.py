#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program for the adapter `command`: takes a task, makes a clip with ffmpeg, tells its progress.

    channels:
      - {name: local, adapter: command, command: [/path/to/examples/command.py], models: [local-clip]}

Put your model in the place of ffmpeg. docs/upstreams/command.md says what comes in and what goes out.
"""
import json
import subprocess
import sys

FRAMES_PER_S = 24


def say(**words):
    print(json.dumps(words), flush=True)  # flushed, or progress comes at the end


def source(task, size):
    """The first image, slowly moving; without one, colours drawn from the seed."""
    if task["images"]:
        zoom = f"zoompan=z='1+0.1*on/{task['duration'] * FRAMES_PER_S}':d={task['duration'] * FRAMES_PER_S}:s={size}:fps={FRAMES_PER_S}"
        return ["-i", task["images"][0]["path"], "-vf", zoom]
    seed = task["seed"] if task["seed"] is not None else 7
    return ["-f", "lavfi", "-i", f"gradients=s={size}:r={FRAMES_PER_S}:d={task['duration']}:seed={seed % 2**31}"]


def main():
    task = json.load(sys.stdin)
    if len(task["images"]) > 1:
        say(error={"kind": "refused", "code": "too_many_images", "message": "one image at most"})
        return
    size = f"{task['width'] // 2 * 2}x{task['height'] // 2 * 2}"
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *source(task, size), "-t", str(task["duration"]),
               "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-progress", "pipe:1", task["output"]]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    except FileNotFoundError:
        say(error={"kind": "failed", "code": "no_ffmpeg", "message": "ffmpeg is not installed"})
        return
    with process as ffmpeg:
        for line in ffmpeg.stdout:
            key, _, value = line.strip().partition("=")
            if key == "out_time_us" and value.isdigit():
                say(progress=min(1, int(value) / 1e6 / task["duration"]))
    if ffmpeg.returncode != 0:
        say(error={"kind": "failed", "code": "ffmpeg", "message": "the clip could not be encoded"})


main()
