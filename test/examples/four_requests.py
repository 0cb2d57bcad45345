#!/usr/bin/env python3
"""Adds one to the number in a file, under a lock of a lock server: four_requests.py LOCKS KEY FILE"""
import _thread
import json
import secrets
import sys
import threading
import urllib.request

locks, key, path = sys.argv[1:]
# The client's key is a secret: anyone who has it can renew and release this client's locks.
client = secrets.token_hex(16)


def post(what, **body):
    headers = {"storelock-client": client, "content-type": "application/json"}
    request = urllib.request.Request(f"{locks}/v1/{what}", json.dumps({"key": key, **body}).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def renew(lock, done):
    while not done.wait(lock["duration"] / 3 / 1000):
        try:
            post("renew", lockToken=lock["lockToken"])
        except OSError:
            # The lock may be lost, so the work must stop.
            return _thread.interrupt_main()


lock = post("acquire")
while not lock["granted"]:
    # Other requests are ahead. Sending ours again by its name keeps its place in the queue.
    lock = post("acquire", request=lock["request"])
done = threading.Event()
threading.Thread(target=renew, args=(lock, done), daemon=True).start()
try:
    with open(path) as file:
        number = int(file.read())
    with open(path, "w") as file:
        file.write(f"{number + 1}\n")
finally:
    done.set()
    post("release", lockToken=lock["lockToken"])
