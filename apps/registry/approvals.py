"""Approving and rejecting versions: who may, what the policy asks, and what was found."""

from dataclasses import asdict, dataclass
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import Conflict
from apps.experiments.models import Metric
from apps.projects.models import Role
from apps.projects.services import require_open, require_role
from apps.registry.aliases import CHAMPION
from apps.registry.models import Alias, Approval, ModelVersion, Verdict
from apps.registry.services import policy_of, tell_version
from runtime.documents.model import Gate


@dataclass(frozen=True)
class Finding:
    """One thing a policy asks of a version, and how it stands. `value` and `limit` are of gates."""

    rule: str
    is_met: bool
    text: str
    value: float | None = None
    limit: float | None = None


@transaction.atomic
def approve(version: ModelVersion, *, reason: str, user: User) -> Approval:
    """Approve a version, with what the policy asked and what was found kept beside it.

    Owners only, and where the policy says so nobody who made the version: else PermissionDenied.
    Raise Conflict when it is not ready, approved already, or the policy does not hold.
    """
    version = _deciding(version, user)
    if version.verdict == Verdict.APPROVED:
        raise Conflict(f"{version} is approved already.")
    policy = policy_of(version.model)
    if policy.not_by_author and user.pk in (version.created_by_id, version.run.created_by_id):
        raise PermissionDenied(
            "The policy lets nobody approve what they made. Ask another owner of the project."
        )
    findings = check_policy(version)
    if failed := [each.text for each in findings if not each.is_met]:
        raise Conflict(f"{version} does not meet the model's policy: {' '.join(failed)}")
    return _decide(version, Verdict.APPROVED, reason, findings, user)


@transaction.atomic
def reject(version: ModelVersion, *, reason: str, user: User) -> Approval:
    """Reject a version, an approved one too. Owners only; Conflict while it is champion."""
    version = _deciding(version, user)
    if version.verdict == Verdict.REJECTED:
        raise Conflict(f"{version} is rejected already.")
    if version.aliases.filter(name=CHAMPION).exists():
        raise Conflict(f"{version} is champion. Point the alias at another version first.")
    return _decide(version, Verdict.REJECTED, reason, check_policy(version), user)


def _deciding(version: ModelVersion, user: User) -> ModelVersion:
    """The version, locked. Its project's owners decide, and only on what is ready."""
    require_role(user, version.model.project, Role.OWNER)
    require_open(version.model.project)
    version = ModelVersion.objects.select_for_update(of=("self",)).get(pk=version.pk)
    if not version.engine:
        raise Conflict(f"{version} is not ready: look at its job, and wait or register again.")
    return version


def _decide(
    version: ModelVersion, verdict: Verdict, reason: str, findings: list[Finding], user: User
) -> Approval:
    if not reason.strip():
        raise ValidationError({"reason": "Say why, for those who look at this later."})
    evidence: dict[str, Any] = {
        "policy": version.model.policy,
        "findings": [asdict(each) for each in findings],
    }
    approval = Approval(
        version=version, verdict=verdict, reason=reason.strip(), evidence=evidence, created_by=user
    )
    approval.full_clean()
    approval.save()
    before = {"verdict": version.verdict}
    version.verdict = verdict
    version.save(update_fields=["verdict"])
    after = {"verdict": str(verdict), "reason": approval.reason}
    tell_version(f"model_version.{verdict}", version, user, before=before, after=after)
    return approval


def check_policy(version: ModelVersion) -> list[Finding]:
    """How the version stands to each thing its model's policy asks, but for who may approve."""
    policy = policy_of(version.model)
    findings = [_look_at_gate(version, gate) for gate in policy.gates]
    if policy.needs_onnx:
        is_met = version.engine == "onnx"
        reason = version.conversion.get("reason") or "It was not converted."
        text = "ONNX Runtime serves it." if is_met else f"It has no ONNX form: {reason}"
        findings.append(Finding("needs_onnx", is_met, text))
    return findings


def _look_at_gate(version: ModelVersion, gate: Gate) -> Finding:
    value = _metric(version, gate.metric)
    if value is None:
        return Finding(gate.metric, False, f"Its run has no metric {gate.metric}.")
    if gate.better_than is not None:
        return _compare(version, gate, value)
    if gate.at_least is not None:
        word, limit, is_met = "at least", gate.at_least, value >= gate.at_least
    else:
        limit = gate.at_most or 0.0
        word, is_met = "at most", value <= limit
    text = f"{gate.metric} is {value:.6g}; it must be {word} {limit:.6g}."
    return Finding(gate.metric, is_met, text, value, limit)


def _compare(version: ModelVersion, gate: Gate, value: float) -> Finding:
    alias = Alias.objects.filter(model=version.model, name=gate.better_than).first()
    if alias is None or alias.version_id == version.pk:
        text = f"No other version is {gate.better_than}, so there is none to be better than."
        return Finding(gate.metric, True, text, value)
    limit = _metric(alias.version, gate.metric)
    if limit is None:
        text = f"{alias.version}, {alias.name}, has no metric {gate.metric} to compare with."
        return Finding(gate.metric, False, text, value)
    is_met = value > limit if gate.better_is == "higher" else value < limit
    text = (
        f"{gate.metric} is {value:.6g}; it must be {gate.better_is} than "
        f"{alias.name}'s {limit:.6g} ({alias.version})."
    )
    return Finding(gate.metric, is_met, text, value, limit)


def _metric(version: ModelVersion, key: str) -> float | None:
    last = Metric.objects.filter(run_id=version.run_id, key=key, is_last=True)
    return last.values_list("value", flat=True).first()
