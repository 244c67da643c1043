# SPDX-License-Identifier: MIT OR Apache-2.0
"""A program that uses the C library for long. Each line that it reads is a command, which it answers with one line."""

import fcntl
import os
import signal
import sys

import gi

gi.require_version("OSTree", "1.0")
from gi.repository import OSTree  # noqa: E402

sysroot = OSTree.Sysroot.new_default()
sysroot.load(None)
repo = sysroot.repo()
leases = []


def lock():
    sysroot.lock()


def unlock():
    sysroot.unlock()


def lock_repo(kind):
    repo.lock_push(getattr(OSTree.RepoLockType, kind), None)


def unlock_repo(kind):
    repo.lock_pop(getattr(OSTree.RepoLockType, kind), None)


def reload():
    """Whether the deployments have changed since they were looked at, and what they are now."""
    _, changed = sysroot.load_if_changed(None)
    names = [f"{d.get_csum()}.{d.get_deployserial()}" for d in sysroot.get_deployments()]
    return " ".join(["changed" if changed else "same", *names])


def lease(path):
    """Whoever opens the file waits until this lets go of it; that somebody does is told."""
    leases.append(os.open(path, os.O_RDONLY))
    fcntl.fcntl(leases[-1], fcntl.F_SETLEASE, fcntl.F_WRLCK)


def let_go():
    os.close(leases.pop())


signal.signal(signal.SIGIO, lambda *_: print("somebody waits", flush=True))
print("ready", flush=True)
for line in sys.stdin:
    verb, *words = line.split()
    print(globals()[verb](*words) or "done", flush=True)
