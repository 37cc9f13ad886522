"""Questions about data that want an answer at once: one module each, named as the question is.

`runtime/questions/<name>.py` has `answer(question) -> dict`, called in a warm, confined process
that may read what the question lists and write in its own folder (the current one). It raises
`runtime.job.JobError` for what it refuses.
"""
