"""The warm process: confines itself, waits for one question, answers it, ends.

Run as a file, `python -I -S runtime/warm_child.py <its own folder>`.
"""

import sys

ROOT = __file__.rsplit("/", 2)[0]


def main(folder: str) -> int:
    import json

    from runtime.confine import confine, landlock_abi, system_paths
    from runtime.probe import answer

    # Imported above, before the door closes behind us: afterwards our own code is out of reach.
    abi = landlock_abi()
    if abi:
        prefixes = [sys.prefix, sys.base_prefix]
        confine(system_paths(prefixes, has_network=False), [folder], has_network=False)
    question = sys.stdin.buffer.readline()
    if not question:
        return 0
    said = answer(json.loads(question), abi=abi)
    sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
    sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.path.insert(0, ROOT)
    sys.exit(main(sys.argv[1]))
