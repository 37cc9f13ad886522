"""Project files: a whole project as one document, planned, applied and exported."""
