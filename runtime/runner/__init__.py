"""The runner: owns one local process from start to end, whatever becomes of the portal.

Its folder, which the process itself cannot write to but for `work` and `tmp`:
```
job.json        what to run, and its limits (`Order`)     runner.json     who runs it
heartbeat.json  once a second                             log.txt         what the process printed
exit.json       how it ended, by rename, once             cancel          made to ask for the end
work/           where the process runs; `outputs.json` there is what it wants to tell
```
"""
