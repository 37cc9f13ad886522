"""How the router and a native child speak: frames over a socket pair, either way.

A frame is a head (id, rows, columns, bytes) and its bytes: a float32 matrix there, a float64 one
back. Columns -1 is an error's text; -2 the child's first word, JSON. Only the standard library: the
child's environment is another.
"""

import struct

HEAD = struct.Struct("<IiiI")
ERROR, HELLO = -1, -2
MAX_FRAME = 256 * 1024 * 1024
