"""The scoring server: one process that answers with models' predictions, whatever becomes of the
portal. It knows the portal only by two files: `serving/routes.json`, which says what to serve, and
`serving/status.json`, in which it says what it serves.

```
connections ─► router ─► endpoint (keys, split) ─► release (encode, run) ─► ring ─► Parquet
   HTTP         addresses                            │ ONNX: here
watcher ─► loader ─► swap                            └ native: a confined child process
```
Everything but loading, writing captures and hashing packages happens on the one event loop.
"""
