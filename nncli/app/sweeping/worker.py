"""A process that trains one trial after another: `python -m nncli.app.sweeping.worker FD`.

It talks over a socket that it was started with. A thread of its own listens: what asks to stop is
heard while a trial is trained, and the process ends with the one that started it.
"""

import gc
import os
import signal
import sys
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

STOP = "stop"


def main(number: int) -> None:
    for ignored in (signal.SIGINT, signal.SIGHUP):  # what it is to do, the sweep says
        signal.signal(ignored, signal.SIG_IGN)
    from nncli.app.sweeping.trial import run_trial

    gc.freeze()  # what is imported is here to stay, and need not be looked through each time
    connection: Connection[Any, Any] = Connection(number)
    tasks: SimpleQueue[Any] = SimpleQueue()
    stopping: list[bool] = []

    def listen() -> None:
        spec: Any = None
        while True:
            try:
                message = connection.recv()
            except (EOFError, OSError):
                os._exit(1)  # the sweep is gone
            if message == STOP:
                stopping.append(True)
            else:
                given, task = message
                spec = given or spec  # it comes once
                tasks.put(task._replace(spec=spec))

    Thread(target=listen, daemon=True).start()
    while True:
        outcome = run_trial(tasks.get(), lambda: bool(stopping))
        try:
            connection.send(outcome)
        except OSError:
            os._exit(1)
        if stopping:  # what was at hand is not begun
            os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
