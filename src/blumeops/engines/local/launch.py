"""Become one program: `python -I -S launch.py SPEC`, where SPEC is a private JSON file.

In: argv, env, cwd, user, group, `clear`, a command that is run to its end before, and `record`, the file to write
who we are into. Out: nothing; this process *becomes* the program (same pid). Promised: what the process manager shows
of us (argv, configuration) holds no secret, since those come by the file; the record names this process for ever (pid,
start time and boot), so whoever finds it later can end exactly this process; root's rights are gone before the program
starts, but for the one to read files where the spec says so; what is in its memory, secrets too, is left in no core
file, unless the program itself asks for one.

A limit of memory is a control group's (`limits.py`), entered while we have the rights to. (RLIMIT_AS counts reserved
addresses, which kills Go programs.) Where it cannot be had the log says so, and the program starts all the same.

Standard library only, and as little of it as can be: it runs before each start.
"""

import json
import os
import resource
import sys
from typing import Any

READ_ALL = 2
"""CAP_DAC_READ_SEARCH of linux/capability.h, and what follows from it and from linux/prctl.h."""
CAPABILITIES_3 = 0x20080522
KEEP_CAPABILITIES, AMBIENT, AMBIENT_RAISE = 8, 47, 2


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


def main(path: str) -> None:
    """Record, drop rights, exec. What fails is printed for the log, and the exit code is 78 (configuration)."""
    with open(path, encoding="utf-8") as file:
        spec: dict[str, Any] = json.load(file)
    record = spec["record"]
    with open(f"{record}.new", "w", encoding="utf-8") as file:
        kills = memory_kills(spec["limit"]["group"]) if spec["limit"] else 0
        json.dump({"pid": os.getpid(), "identity": identity(os.getpid()), "memory_kills": kills}, file)
    os.replace(f"{record}.new", record)
    if spec.get("clear"):
        # What the program is in the place of may have outlived its client: it would be there twice.
        silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
        os.waitpid(os.posix_spawn(spec["clear"][0], spec["clear"], spec["env"], file_actions=silent), 0)
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
