"""Become one program: `python -I -S launch.py SPEC`, where SPEC is a private JSON file.

In: argv, env, cwd, user, group, `clear`, a command that is run to its end before, and `record`, the file to write
who we are into. Out: nothing; this process *becomes* the program (same pid). Promised: what the process manager shows
of us (argv, configuration) holds no secret, since those come by the file; the record names this process for ever (pid,
start time and boot), so whoever finds it later can end exactly this process; root's rights are gone before the program
starts, but for the one to read files where the spec says so; what is in its memory, secrets too, is left in no core
file, unless the program itself asks for one.

A program that was started again because it ended waits here before it becomes itself, longer each time if it keeps
ending (`delay`): so whoever starts it need not know of it, and no controller has to be there. What the manager must
know of that lies beside the record, as `RECORD.ends`.

A limit of memory is a control group's (`limits.py`), entered while we have the rights to. (RLIMIT_AS counts reserved
addresses, which kills Go programs.) Where it cannot be had the log says so, and the program starts all the same.

Standard library only, and as little of it as can be: it runs before each start.
"""

import json
import os
import resource
import sys
import time
from typing import Any

READ_ALL = 2
"""CAP_DAC_READ_SEARCH of linux/capability.h, and what follows from it and from linux/prctl.h."""
CAPABILITIES_3 = 0x20080522
KEEP_CAPABILITIES, AMBIENT, AMBIENT_RAISE = 8, 47, 2


WINDOW, FIRST, LONGEST = 600.0, 1.0, 60.0
"""Seconds: within which ends count, that the second of them costs, and that none costs more than. `manager.BackOff`."""
KEPT = 1000
"""Ends that are remembered: more within the window are as many."""


def delay(ends: int, first: float = FIRST, longest: float = LONGEST) -> float:
    """Seconds to wait after so many ends within the window: none after a single one, then `first`, and each time twice
    as long, up to `longest`."""
    return min(first * 2 ** min(ends - 2, 30), longest) if ends > 1 else 0.0


def lately(ends: list[float], now: float, window: float = WINDOW) -> list[float]:
    """Those within the window. What the clock says is yet to come was told by one that went wrong: it is forgotten."""
    return [each for each in ends if now - window < each <= now][-KEPT:]


def ends_of(record: str) -> dict[str, Any]:
    """What is known of earlier ends; empty before the first start.

    `ends`: when, in seconds since 1970; `log`: the size of its log at the last; `waits`: seconds that the process `pid`
    waits, 0 once it has; `since`: when that was over.
    """
    try:
        with open(f"{record}.ends", encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
            return found
    except (OSError, ValueError):
        return {}


def can_read_all() -> bool:
    """Whether we have the right to read every file, and so can leave it to what we become: on Linux."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            rights = next(line for line in status if line.startswith("CapPrm:"))
        return bool(int(rights.split()[1], 16) >> READ_ALL & 1)
    except (OSError, StopIteration):
        return False


def identity(pid: int) -> str:
    """What tells process `pid` from any other that ever had this pid; empty when there is none (or a zombie)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
            return "" if fields[0] in (b"Z", b"X") else f"{boot.read().strip()}:{fields[19].decode()}"
    except (FileNotFoundError, ProcessLookupError):
        if os.path.isdir("/proc/self"):
            return ""
    import subprocess  # macOS: no /proc

    line = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, env={"LC_ALL": "C"},
    ).stdout.strip()  # fmt: skip
    state, _, since = line.partition(" ")
    return "" if state.startswith("Z") else since.strip()


def memory_kills(group: str) -> int:
    """How often the kernel ended a process of this group because its memory was used up; 0 where that is not told.
    Version 2 of control groups tells it in memory.events, version 1 in memory.oom_control."""
    for name in ("memory.events", "memory.oom_control"):
        try:
            with open(f"{group}/{name}", encoding="ascii") as file:
                for line in file:
                    word, _, count = line.partition(" ")
                    if word == "oom_kill":
                        return int(count)
        except (OSError, ValueError):
            continue
    return 0


def enter(group: str, file: str, limit: int) -> None:
    """Go into the control group, and limit the memory of all in it. Whoever cannot goes on without."""
    site = group.rpartition("/")[0]
    words = [(f"{group}/{file}", str(limit)), (f"{group}/cgroup.procs", str(os.getpid()))]
    try:
        if not os.path.isdir(site):
            os.mkdir(site)  # noqa: PTH102 - importing pathlib takes longer than all the rest here
        if file == "memory.max":  # version 2: each group says what those in it may limit
            with open(f"{site}/cgroup.subtree_control", "w", encoding="ascii") as control:
                control.write("+memory")
        if not os.path.isdir(group):
            os.mkdir(group)  # noqa: PTH102 - importing pathlib takes longer than all the rest here
        for path, word in words:
            with open(path, "w", encoding="ascii") as control:
                control.write(word)
    except OSError as error:
        sys.stdout.write(f"its memory is not limited: {error}\n")
        sys.stdout.flush()


def become_reader(user: int) -> None:
    """Become that user, and keep one right of root's for what is started: to read every file (capabilities(7)).
    Raises OSError."""
    import ctypes  # only a maker of backups pays for it

    libc = ctypes.CDLL(None, use_errno=True)

    def ask(name: str, *words: Any) -> None:
        if getattr(libc, name)(*words) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"the right to read all files: {os.strerror(code)}")

    ask("prctl", KEEP_CAPABILITIES, 1, 0, 0, 0)
    os.setuid(user)
    header, right = (ctypes.c_uint32 * 2)(CAPABILITIES_3, 0), 1 << READ_ALL
    ask("capset", header, (ctypes.c_uint32 * 6)(right, right, right, 0, 0, 0))
    ask("prctl", AMBIENT, AMBIENT_RAISE, READ_ALL, 0, 0)


def write(path: str, form: dict[str, Any]) -> None:
    """Replace the file whole."""
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(form, file)
    os.replace(f"{path}.new", path)


def memory_kills_known(record: str) -> int:
    """How many there were when the program began to run last."""
    try:
        with open(record, encoding="utf-8") as file:
            return int(json.load(file)["memory_kills"])
    except (OSError, ValueError, LookupError):
        return 0


def note(record: str, kills: int) -> None:
    """Write who we are into the record. `kills`: what the next one for its memory is counted from."""
    write(record, {"pid": os.getpid(), "identity": identity(os.getpid()), "memory_kills": kills})


def count(spec: dict[str, Any], rule: dict[str, float]) -> float:
    """Note that the program is to start, which it does for the first time or since it ended; seconds to wait before."""
    record, now = spec["record"], time.time()
    known = ends_of(record)
    ends = lately([*known.get("ends", []), now], now, rule["window"]) if known else []
    seconds = delay(len(ends), rule["first"], rule["longest"])
    with open(spec["log"], "ab") as log:  # supervisor has written all that the last one printed
        size = log.tell()
    if seconds:
        end_at_once(spec["stop_signal"])
    write(f"{record}.ends", {"pid": os.getpid(), "ends": ends, "log": size, "waits": seconds, "since": 0})
    return seconds


def end_at_once(stop_signal: str) -> None:
    """Whatever signal we are stopped by from now on, that ends us at once, also one that is ignored by default."""
    import signal  # it takes longer than all the rest here, and most need not wait

    for name in {"TERM", "INT", "HUP", "QUIT", stop_signal} - {"KILL", "STOP"}:
        signal.signal(signal.Signals[f"SIG{name}"], lambda *_: os._exit(0))


def hold(spec: dict[str, Any], seconds: float) -> None:
    """Wait, and tell that it is over."""
    time.sleep(seconds)
    told = ends_of(spec["record"])
    write(f"{spec['record']}.ends", told | {"waits": 0, "since": time.time()})


def main(path: str) -> None:
    """Record, wait, drop rights, exec. What fails is printed for the log, and the exit code is 78 (configuration)."""
    with open(path, encoding="utf-8") as file:
        spec: dict[str, Any] = json.load(file)
    record, rule = spec["record"], spec.get("back_off", {"window": WINDOW, "first": FIRST, "longest": LONGEST})
    kills = memory_kills(spec["limit"]["group"]) if spec["limit"] else 0
    waits = count(spec, rule) if rule else 0.0
    note(record, memory_kills_known(record) if waits else kills)  # while it waits, its memory may be why it ended
    if spec.get("clear"):
        # What the program is in the place of may have outlived its client: it would be there twice.
        silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        os.waitpid(os.posix_spawn(spec["clear"][0], spec["clear"], spec["env"], file_actions=silent), 0)
    if waits:
        hold(spec, waits)
        note(record, kills)
    if spec["limit"]:
        enter(spec["limit"]["group"], spec["limit"]["file"], spec["memory"])
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if spec["user"] is not None:
        os.setgroups([])
        os.setgid(spec["group"])
        if spec.get("reads_all"):
            become_reader(spec["user"])
        else:
            os.setuid(spec["user"])
    os.chdir(spec["cwd"])
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (OSError, KeyError, ValueError) as error:
        sys.stdout.write(f"cannot start: {error}\n")
        sys.exit(78)
