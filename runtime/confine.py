"""Landlock: what a process may touch, decided by itself, once, and never widened again.

Needs Linux 5.13 and no privilege; it binds root as well. System calls and structures are those of
`linux/landlock.h`. Rights a kernel does not know yet are left out, so newer kernels confine more:
ABI 4 adds TCP, ABI 6 signals and abstract sockets to processes outside.
"""

import ctypes
import os
import struct
from collections.abc import Iterable, Sequence

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
RULESET_VERSION = 1
RULE_PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
FIRST_ABI_RIGHTS = (1 << 13) - 1
READ = EXECUTE | READ_FILE | READ_DIR
# What can be granted on a file rather than a folder.
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1, 2
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2
ABI_REFER, ABI_TRUNCATE, ABI_TCP, ABI_IOCTL, ABI_SCOPE = 2, 3, 4, 5, 6

_libc = ctypes.CDLL(None, use_errno=True)


class ConfinementError(OSError):
    """The process could not be confined, and must not go on."""


def landlock_abi() -> int:
    """The kernel's Landlock version, 0 where there is none."""
    found = _libc.syscall(
        CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(RULESET_VERSION)
    )
    return max(int(found), 0)


def set_process_option(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        raise ConfinementError(ctypes.get_errno(), f"prctl {option} refused")


def confine(readable: Iterable[str], writable: Iterable[str], *, has_network: bool) -> int:
    """Confine this process and all it starts; returns the ABI used.

    `readable` paths may be read and run, `writable` folders also changed; whatever does not exist
    is left out. Without the network, TCP is refused both ways (ABI 4 on). Raise ConfinementError.
    """
    abi = landlock_abi()
    if abi == 0:
        raise ConfinementError(0, "this kernel has no Landlock")
    handled = _handled_rights(abi)
    ruleset = _create_ruleset(abi, handled, has_network=has_network)
    for path in readable:
        _allow(ruleset, path, READ & handled)
    for path in writable:
        _allow(ruleset, path, handled & ~IOCTL_DEV)
    set_process_option(PR_SET_NO_NEW_PRIVS, 1)
    if _libc.syscall(RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) != 0:
        raise ConfinementError(ctypes.get_errno(), "the kernel refused to confine this process")
    os.close(ruleset)
    return abi


def _handled_rights(abi: int) -> int:
    rights = FIRST_ABI_RIGHTS
    for since, right in ((ABI_REFER, REFER), (ABI_TRUNCATE, TRUNCATE), (ABI_IOCTL, IOCTL_DEV)):
        if abi >= since:
            rights |= right
    return rights


def _create_ruleset(abi: int, handled: int, *, has_network: bool) -> int:
    words = [handled]
    if abi >= ABI_TCP:
        words.append(0 if has_network else BIND_TCP | CONNECT_TCP)
    if abi >= ABI_SCOPE:
        words.append(SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS)
    attributes = struct.pack(f"={len(words)}Q", *words)
    made = _libc.syscall(
        CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0)
    )
    if made < 0:
        raise ConfinementError(ctypes.get_errno(), "the kernel refused the ruleset")
    return int(made)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= ON_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        if _libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, ctypes.c_uint32(0)) != 0:
            raise ConfinementError(ctypes.get_errno(), f"no rule could be made for {path}")
    finally:
        os.close(descriptor)


def system_paths(prefixes: Sequence[str], *, has_network: bool) -> list[str]:
    """What any program needs to read: the system's libraries, the interpreter, a few settings."""
    settings = ["/etc/ld.so.cache", "/etc/localtime", "/etc/ssl", "/etc/mime.types"]
    names = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"] if has_network else []
    devices = ["/dev/zero", "/dev/urandom", "/dev/random"]
    # How much of the machine it was given. DuckDB does not even start where it cannot look.
    granted = ["/proc/self/cgroup", "/sys/fs/cgroup", "/sys/devices/system/cpu"]
    settings += granted
    return ["/usr", "/lib", "/lib64", "/bin", "/sbin", *settings, *names, *devices, *prefixes]
