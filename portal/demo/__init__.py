"""`manage.py demo`: a worked example taken through the whole lifecycle, over REST like any client.

Every step looks first for what is there, so a walk that was cut off anywhere goes on from there.
"""
