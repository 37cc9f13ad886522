"""What a token may be allowed to do. A token without a scope cannot do it, whoever it acts as."""

SCOPES: dict[str, str] = {
    "read": "See everything its owner can see",
    "projects:write": "Make and change projects, members and project tokens",
    "jobs:write": "Launch and cancel work",
    "sources:write": "Make sources and datasets, upload files, read them in",
    "pipelines:write": "Make, launch and schedule pipelines",
    "experiments:write": "Make experiments and train models",
    "models:write": "Register, approve and name models",
    "endpoints:write": "Make endpoints, release models on them, make their keys",
    "monitors:write": "Make and evaluate monitors",
    "people:write": "Invite and deactivate people (site admins)",
    "targets:write": "Pause and resume targets (site admins)",
}
