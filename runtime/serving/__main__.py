"""Entry point, run as a file: `python -I runtime/serving/__main__.py --var … --bind … --port …`."""

import sys

if __name__ == "__main__":
    sys.path.insert(0, __file__.rsplit("/", 3)[0])
    from runtime.serving.server import main

    sys.exit(main(sys.argv[1:]))
