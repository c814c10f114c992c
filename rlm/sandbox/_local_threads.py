"""Threads of restricted code: bounded, never waited for by the process, silent about their end."""

from __future__ import annotations

import concurrent.futures
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from rlm.guest.cells import explain

__all__ = ["Threads"]

_MOST = 64
"""Threads of one session at once."""


class Threads:
    """What cells of one session find in `threading` and `concurrent.futures`."""

    def __init__(self, complain: Callable[[str], Any]) -> None:
        """`complain` takes the traceback of what a thread did not catch."""
        self._complain = complain
        self._room = threading.BoundedSemaphore(_MOST)
        self._pools: list[_Pool] = []

    def start(self, work: Callable[[], Any]) -> threading.Thread:
        """Run work in a thread; RuntimeError when there are too many."""
        if not self._room.acquire(blocking=False):
            raise RuntimeError(f"can't start new thread: a session has {_MOST} at most")
        try:
            thread = threading.Thread(target=self._run, args=(work,), daemon=True)
            thread.start()
        except BaseException:
            self._room.release()
            raise
        return thread

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:
            self._complain(explain(error))
        except BaseException:
            return  # it was told to stop
        finally:
            self._room.release()

    def threading(self) -> dict[str, Any]:
        """Return what is in `threading`."""

        class Thread(_Thread):
            def __init__(inner, *args: Any, **kwargs: Any) -> None:  # beside self
                super().__init__(self, *args, **kwargs)

        names = ("Lock", "RLock", "Event", "Semaphore", "BoundedSemaphore", "Condition", "Barrier")
        return {"Thread": Thread, **{name: getattr(threading, name) for name in names}}

    def futures(self) -> dict[str, Any]:
        """Return what is in `concurrent.futures` beside its functions."""

        class ThreadPoolExecutor(_Pool):
            def __init__(inner, *args: Any, **kwargs: Any) -> None:  # beside self
                super().__init__(self, *args, **kwargs)
                self._pools.append(inner)

        return {"ThreadPoolExecutor": ThreadPoolExecutor, "Future": _Future}

    def close(self) -> None:
        """Let the threads of pools go that wait for more to do."""
        for pool in self._pools:
            pool.shutdown(wait=False, cancel_futures=True)


class _Thread:
    """A thread of a cell; what it raises goes to the session's stderr."""

    def __init__(
        self,
        threads: Threads,
        group: None = None,
        target: Callable[..., Any] | None = None,
        name: str | None = None,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> None:
        self._threads = threads
        self._work = None if target is None else functools.partial(target, *args, **(kwargs or {}))
        self._thread: threading.Thread | None = None
        self.name = name or "Thread"
        self.daemon = True

    def start(self) -> None:
        """Begin."""
        if self._thread is not None:
            raise RuntimeError("threads can only be started once")
        self._thread = self._threads.start(self._work or (lambda: None))

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        if self._thread is None:
            raise RuntimeError("cannot join thread before it is started")
        self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread is not None and self._thread.is_alive()


class _Future(concurrent.futures.Future[Any]):
    """A future whose callbacks' errors are not told by the process's own log."""

    def add_done_callback(self, fn: Callable[[Any], Any]) -> None:
        """Call `fn` with this when it is done; what it raises is nobody's."""

        def quiet(done: Any) -> None:
            try:
                fn(done)
            except Exception:
                return  # Python would write it to the process's own stderr

        super().add_done_callback(quiet)


class _Pool(concurrent.futures.Executor):
    """`ThreadPoolExecutor`, whose threads the process does not wait for when it ends."""

    def __init__(
        self,
        threads: Threads,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., Any] | None = None,
        initargs: Sequence[Any] = (),
    ) -> None:
        if max_workers is not None and max_workers <= 0:
            raise ValueError("max_workers must be greater than 0")
        self._threads = threads
        self._most = min(max_workers or 8, _MOST)
        self._begin = functools.partial(initializer, *initargs) if initializer else None
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._waiting = threading.Semaphore(0)
        self._workers: list[threading.Thread] = []
        self._ended = False
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run a call in one of its threads and return its future."""
        with self._lock:
            if self._ended:
                raise RuntimeError("cannot schedule new futures after shutdown")
            future = _Future()
            self._jobs.put((future, functools.partial(fn, *args, **kwargs)))
            if not self._waiting.acquire(blocking=False) and len(self._workers) < self._most:
                try:
                    self._workers.append(self._threads.start(self._work))
                except RuntimeError:
                    if not self._workers:
                        raise
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        **more: Any,
    ) -> Iterator[Any]:
        """Call for each of the items, and yield what comes of it in their order."""
        end = None if timeout is None else time.monotonic() + timeout
        futures = [self.submit(fn, *args) for args in zip(*iterables, strict=False)]
        return (one.result(None if end is None else end - time.monotonic()) for one in futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; wait for those that were taken."""
        with self._lock:
            self._ended = True
            while cancel_futures and not self._jobs.empty():
                job = self._jobs.get()
                if job is not None:
                    job[0].cancel()
            for _ in self._workers:
                self._jobs.put(None)
        for worker in self._workers if wait else ():
            worker.join()

    def _work(self) -> None:
        if self._begin is not None:
            self._begin()
        while (job := self._next()) is not None:
            future, call = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _next(self) -> Any:
        try:
            return self._jobs.get_nowait()
        except queue.Empty:
            self._waiting.release()
            return self._jobs.get()
