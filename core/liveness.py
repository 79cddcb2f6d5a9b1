"""Whether a lock is held, asked without ever being in its holder's way."""

from __future__ import annotations

import sys
from pathlib import Path

import filelock

if sys.platform == "win32":

    def is_held(path: Path) -> bool:
        """Whether a process holds the lock on this file. A file that is not there is held by none."""
        if not path.exists():
            return False
        lock = filelock.FileLock(path, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return True
        except OSError:
            return False
        lock.release()
        return False

else:
    import fcntl
    import os

    def is_held(path: Path) -> bool:
        """Whether a process holds the lock on this file. A file that is not there is held by none.

        A shared lock is enough to be refused by the holder's exclusive one; so those who ask never take each
        other for a holder, and a folder that may only be read can be asked about too.
        """
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(handle)
        return False
