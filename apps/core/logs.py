"""Log lines carry the id of the request they were written for."""

import logging

from apps.core.requests import current_request_id


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id()
        return True
