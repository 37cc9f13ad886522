"""What a token may be allowed to do. A token without a scope cannot do it, whoever it acts as."""

SCOPES: dict[str, str] = {
    "read": "See everything its owner can see",
    "projects:write": "Make and change projects, members and project tokens",
    "jobs:write": "Launch and cancel work",
    "people:write": "Invite and deactivate people (site admins)",
    "targets:write": "Pause and resume targets (site admins)",
}
