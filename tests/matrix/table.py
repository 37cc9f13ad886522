"""Every address, and how it answers each role.

The columns are, in the order of `world.ROLES`: anonymous, owner of another project, viewer,
contributor, owner, site admin who is in no project; for REST, then, the one scope that a token of
somebody who may do everything needs, and the answer with it: with each other scope it is 403.
`none` is 403 with every scope, `any` the same answer with each. A page asks for a sign-in with
302; REST says 401.

The test fails when an address is missing here. Bodies that matter stand in BODIES.
"""

from typing import Any

from tests.experiments.making import DEFINITION
from tests.pipelines.rows import MONTHLY
from tests.schedules.rows import WEEKLY

TABLE = """
GET    /healthz                                        200 200 200 200 200 200
GET    /readyz                                         503 503 503 503 503 503
GET    /                                               302 200 200 200 200 200
GET    /activity/                                      302 200 200 200 200 200
GET    /projects/new/                                  302 200 200 200 200 200
POST   /projects/new/                                  302 302 302 302 302 302
GET    /p/{slug}/                                      302 404 200 200 200 404
GET    /p/{slug}/activity/                             302 404 200 200 200 404
GET    /p/{slug}/checks/new/                           302 404 403 200 200 404
POST   /p/{slug}/checks/new/                           302 404 403 302 302 404
GET    /p/{slug}/members/                              302 404 200 200 200 404
POST   /p/{slug}/members/                              302 404 403 403 302 404
POST   /p/{slug}/members/{member}/role/                302 404 403 403 302 404
POST   /p/{slug}/members/{member}/remove/              302 404 302 403 302 404
GET    /p/{slug}/tokens/                               302 404 403 403 200 404
POST   /p/{slug}/tokens/                               302 404 403 403 200 404
POST   /p/{slug}/tokens/{project_token}/revoke/        302 404 403 403 302 404
GET    /p/{slug}/settings/                             302 404 403 403 200 404
POST   /p/{slug}/settings/                             302 404 403 403 302 404
POST   /p/{slug}/archive/                              302 404 403 403 302 404
GET    /p/{slug}/timeline/                             302 404 200 200 200 404
GET    /p/{slug}/timeline/export/                      302 404 200 200 200 404
GET    /jobs/{job}/                                    302 404 200 200 200 404
GET    /jobs/{job}/status/                             302 404 200 200 200 404
GET    /jobs/{job}/log/                                302 404 200 200 200 404
POST   /jobs/{job}/cancel/                             302 404 403 302 302 404
GET    /jobs/{site_job}/                               302 404 404 404 404 200
POST   /jobs/{site_job}/cancel/                        302 404 404 404 404 302
GET    /targets/                                       302 200 200 200 200 200
GET    /targets/local/                                 302 200 200 200 200 200
POST   /targets/local/change/                          302 403 403 403 403 302
GET    /site/people/                                   302 404 404 404 404 200
GET    /site/people/invite/                            302 404 404 404 404 200
POST   /site/people/invite/                            302 404 404 404 404 200
GET    /site/people/{person}/                          302 404 404 404 404 200
POST   /site/people/{invited}/resend/                  302 404 404 404 404 200
POST   /site/people/{person}/deactivate/               302 404 404 404 404 302
POST   /site/people/{former}/reactivate/               302 404 404 404 404 302
POST   /site/people/{person}/make-site-admin/          302 404 404 404 404 302
POST   /site/people/{person}/remove-site-admin/        302 404 404 404 404 302
POST   /site/people/{invited}/revoke/                  302 404 404 404 404 302
GET    /site/projects/                                 302 404 404 404 404 200
POST   /site/projects/{slug}/take/                     302 404 404 404 404 302
GET    /site/backups/                                  302 404 404 404 404 200
POST   /site/backups/new/                              302 404 404 404 404 302
GET    /site/audit/                                    302 404 404 404 404 200
GET    /site/audit/export/                             302 404 404 404 404 200
GET    /me/                                            302 200 200 200 200 200
POST   /me/                                            302 302 302 302 302 302
GET    /me/tokens/                                     302 200 200 200 200 200
POST   /me/tokens/                                     302 200 200 200 200 200
POST   /me/tokens/{own_token}/revoke/                  302 404 404 404 302 404
GET    /account/login/                                 200 302 302 302 302 302
POST   /account/login/                                 200 302 302 302 302 302
GET    /account/logout/                                302 200 200 200 200 200
POST   /account/logout/                                302 302 302 302 302 302
GET    /account/inactive/                              200 200 200 200 200 200
GET    /account/signup/                                200 302 302 302 302 302
POST   /account/signup/                                200 302 302 302 302 302
GET    /account/reauthenticate/                        302 200 200 200 200 200
GET    /account/password/change/                       302 200 200 200 200 200
POST   /account/password/change/                       302 200 200 200 200 200
GET    /account/password/set/                          302 302 302 302 302 302
GET    /account/password/reset/                        200 200 200 200 200 200
POST   /account/password/reset/                        200 200 200 200 200 200
GET    /account/password/reset/done/                   200 200 200 200 200 200
GET    /account/password/reset/key/1-x/                200 200 200 200 200 200
GET    /account/password/reset/key/done/               200 200 200 200 200 200
GET    /account/sessions/                              302 200 200 200 200 200
POST   /account/sessions/                              302 302 302 302 302 302
GET    /account/2fa/                                   302 200 200 200 200 200
GET    /account/2fa/authenticate/                      302 302 302 302 302 302
GET    /account/2fa/reauthenticate/                    302 302 302 302 302 302
GET    /account/2fa/totp/activate/                     302 302 302 302 302 302
GET    /account/2fa/totp/deactivate/                   302 404 404 404 404 404
GET    /account/2fa/recovery-codes/                    302 404 404 404 404 404
GET    /account/2fa/recovery-codes/generate/           302 302 302 302 302 302
GET    /account/2fa/recovery-codes/download/           302 404 404 404 404 404
GET    /account/oidc/cancelled/                        200 200 200 200 200 200
GET    /account/oidc/error/                            401 401 401 401 401 401
GET    /account/oidc/signup/                           302 302 302 302 302 302
GET    /account/oidc/connections/                      302 200 200 200 200 200
GET    /account/oidc/none/login/                       404 404 404 404 404 404
GET    /account/oidc/none/login/callback/              404 404 404 404 404 404
GET    /account/invitation/{invitation}/               200 200 200 200 200 200
POST   /account/invitation/{invitation}/               302 302 302 302 302 302
GET    /account/link/{link}/                           200 200 200 200 200 200
GET    /account/link/wrong/                            404 404 404 404 404 404
GET    /api/v1/docs/                                   302 200 200 200 200 200
GET    /nowhere/                                       302 404 404 404 404 404
GET    /api/v1/schema/                                 401 200 200 200 200 200  read=200
GET    /api/v1/nowhere/                                404 404 404 404 404 404  any=404
GET    /api/v1/me/                                     401 200 200 200 200 200  read=200
PATCH  /api/v1/me/                                     401 200 200 200 200 200  people:write=200
GET    /api/v1/users/                                  401 403 403 403 403 200  read=200
GET    /api/v1/users/{person}/                         401 403 403 403 403 200  read=200
POST   /api/v1/users/{person}/deactivate/              401 403 403 403 403 200  people:write=200
POST   /api/v1/users/{former}/reactivate/              401 403 403 403 403 200  people:write=200
POST   /api/v1/users/{person}/make-site-admin/         401 403 403 403 403 200  people:write=200
POST   /api/v1/users/{person}/remove-site-admin/       401 403 403 403 403 200  people:write=200
GET    /api/v1/invitations/                            401 403 403 403 403 200  read=200
POST   /api/v1/invitations/                            401 403 403 403 403 201  people:write=201
POST   /api/v1/invitations/{invited}/resend/           401 403 403 403 403 200  people:write=200
POST   /api/v1/invitations/{invited}/revoke/           401 403 403 403 403 204  people:write=204
GET    /api/v1/tokens/                                 401 200 200 200 200 200  read=200
POST   /api/v1/tokens/                                 401 201 201 201 201 201  none
POST   /api/v1/tokens/{own_token}/revoke/              401 404 404 404 200 404  none
GET    /api/v1/projects/                               401 200 200 200 200 200  read=200
POST   /api/v1/projects/                               401 201 201 201 201 201  projects:write=201
GET    /api/v1/projects/{slug}/                        401 404 200 200 200 404  read=200
PATCH  /api/v1/projects/{slug}/                        401 404 403 403 200 404  projects:write=200
POST   /api/v1/projects/{slug}/archive/                401 404 403 403 200 404  projects:write=200
POST   /api/v1/projects/{slug}/unarchive/              401 404 403 403 200 404  projects:write=200
GET    /api/v1/members/                                401 200 200 200 200 200  read=200
POST   /api/v1/members/                                401 404 403 403 201 404  projects:write=201
GET    /api/v1/members/{member}/                       401 404 200 200 200 404  read=200
PATCH  /api/v1/members/{member}/                       401 404 403 403 200 404  projects:write=200
DELETE /api/v1/members/{member}/                       401 404 204 403 204 404  projects:write=204
GET    /api/v1/project-tokens/                         401 200 200 200 200 200  read=200
POST   /api/v1/project-tokens/                         401 404 403 403 201 404  none
POST   /api/v1/project-tokens/{project_token}/revoke/  401 404 404 404 200 404  none
GET    /api/v1/events/                                 401 200 200 200 200 200  read=200
GET    /api/v1/events/export/                          401 200 200 200 200 200  read=200
GET    /api/v1/targets/                                401 200 200 200 200 200  read=200
GET    /api/v1/targets/local/                          401 200 200 200 200 200  read=200
POST   /api/v1/targets/local/pause/                    401 403 403 403 403 200  targets:write=200
POST   /api/v1/targets/local/resume/                   401 403 403 403 403 200  targets:write=200
GET    /api/v1/jobs/                                   401 200 200 200 200 200  read=200
GET    /api/v1/jobs/{job}/                             401 404 200 200 200 404  read=200
GET    /api/v1/jobs/{job}/logs/                        401 404 200 200 200 404  read=200
POST   /api/v1/jobs/{job}/cancel/                      401 404 403 202 202 404  jobs:write=202
GET    /api/v1/jobs/{site_job}/                        401 404 404 404 404 200  read=200
POST   /api/v1/jobs/{site_job}/cancel/                 401 404 404 404 404 202  jobs:write=202
POST   /api/v1/target-checks/                          401 404 403 201 201 404  jobs:write=201
POST   /api/v1/probes/                                 401 400 400 400 400 400  jobs:write=400
GET    /api/v1/monitors/                               401 200 200 200 200 200  read=200
POST   /api/v1/monitors/                               401 404 403 201 201 404  monitors:write=201
GET    /api/v1/monitors/{monitor}/                     401 404 200 200 200 404  read=200
PATCH  /api/v1/monitors/{monitor}/                     401 404 403 200 200 404  monitors:write=200
POST   /api/v1/monitors/{monitor}/evaluate/            401 404 403 201 201 404  monitors:write=201
DELETE /api/v1/monitors/{spare_monitor}/               401 404 403 204 204 404  monitors:write=204
GET    /api/v1/evaluations/                            401 200 200 200 200 200  read=200
GET    /api/v1/evaluations/{evaluation}/               401 404 200 200 200 404  read=200
GET    /api/v1/alerts/                                 401 200 200 200 200 200  read=200
GET    /api/v1/alerts/{alert}/                         401 404 200 200 200 404  read=200
GET    /api/v1/traces/                                 401 404 400 400 400 404  read=400
GET    /api/v1/traces/rows/                            401 404 400 400 400 404  read=400
GET    /api/v1/lineage/                                401 404 200 200 200 404  read=200
GET    /api/v1/backups/                                401 403 403 403 403 200  read=200
POST   /api/v1/backups/                                401 403 403 403 403 201  jobs:write=201
GET    /api/v1/backups/{backup}/                       401 403 403 403 403 200  read=200
GET    /api/v1/pipelines/                              401 200 200 200 200 200  read=200
POST   /api/v1/pipelines/                              401 404 403 201 201 404  pipelines:write=201
GET    /api/v1/pipelines/{pipeline}/                   401 404 200 200 200 404  read=200
PATCH  /api/v1/pipelines/{pipeline}/                   401 404 403 200 200 404  pipelines:write=200
POST   /api/v1/pipelines/{pipeline}/versions/          401 404 403 201 201 404  pipelines:write=201
POST   /api/v1/pipelines/{pipeline}/launch/            401 404 403 201 201 404  pipelines:write=201
POST   /api/v1/pipelines/preview/                      401 404 400 400 400 404  read=400
GET    /api/v1/pipeline-versions/                      401 200 200 200 200 200  read=200
GET    /api/v1/pipeline-versions/{pipeline_version}/   401 404 200 200 200 404  read=200
GET    /api/v1/pipeline-versions/{pipeline_version}/diff/     401 404 200 200 200 404  read=200
POST   /api/v1/pipeline-versions/{pipeline_version}/preview/  401 404 400 400 400 404  read=400
GET    /api/v1/pipeline-runs/                          401 200 200 200 200 200  read=200
GET    /api/v1/pipeline-runs/{pipeline_run}/           401 404 200 200 200 404  read=200
GET    /api/v1/experiments/                           401 200 200 200 200 200  read=200
POST   /api/v1/experiments/                           401 404 403 201 201 404  experiments:write=201
GET    /api/v1/experiments/{experiment}/              401 404 200 200 200 404  read=200
PATCH  /api/v1/experiments/{experiment}/              401 404 403 200 200 404  experiments:write=200
GET    /api/v1/runs/                                  401 200 200 200 200 200  read=200
POST   /api/v1/runs/                                  401 404 403 201 201 404  experiments:write=201
GET    /api/v1/runs/{run}/                            401 404 200 200 200 404  read=200
PATCH  /api/v1/runs/{run}/                            401 404 403 200 200 404  experiments:write=200
GET    /api/v1/runs/{run}/metrics/                    401 404 200 200 200 404  read=200
GET    /api/v1/runs/{run}/artifacts/                  401 404 200 200 200 404  read=200
GET    /api/v1/runs/{run}/artifacts/download/         401 404 400 400 400 404  read=400
GET    /api/v1/runs/{run}/reports/roc/                401 404 200 200 200 404  read=200
POST   /api/v1/runs/compare/                          401 404 200 200 200 404  read=200
GET    /api/v1/uploads/                                401 200 200 200 200 200  read=200
POST   /api/v1/uploads/                                401 400 400 400 400 400  sources:write=400
GET    /api/v1/uploads/{upload}/                       401 404 200 200 200 404  read=200
GET    /api/v1/sources/                                401 200 200 200 200 200  read=200
POST   /api/v1/sources/                                401 404 403 201 201 404  sources:write=201
GET    /api/v1/sources/{source}/                       401 404 200 200 200 404  read=200
PATCH  /api/v1/sources/{source}/                       401 404 403 200 200 404  sources:write=200
DELETE /api/v1/sources/{source}/                       401 404 403 204 204 404  sources:write=204
POST   /api/v1/sources/{source}/test/                  401 404 403 400 400 404  sources:write=400
GET    /api/v1/datasets/                               401 200 200 200 200 200  read=200
POST   /api/v1/datasets/                               401 404 403 201 201 404  sources:write=201
GET    /api/v1/datasets/{dataset}/                     401 404 200 200 200 404  read=200
POST   /api/v1/datasets/{dataset}/ingest/              401 404 403 409 409 404  sources:write=409
GET    /api/v1/dataset-versions/                       401 200 200 200 200 200  read=200
GET    /api/v1/dataset-versions/{dataset_version}/     401 404 200 200 200 404  read=200
GET    /api/v1/dataset-versions/{dataset_version}/rows/ 401 404 400 400 400 404  read=400
GET    /api/v1/schedules/                              401 200 200 200 200 200  read=200
POST   /api/v1/schedules/                              401 404 403 201 201 404  pipelines:write=201
GET    /api/v1/schedules/{schedule}/                   401 404 200 200 200 404  read=200
PATCH  /api/v1/schedules/{schedule}/                   401 404 403 200 200 404  pipelines:write=200
DELETE /api/v1/schedules/{schedule}/                   401 404 403 204 204 404  pipelines:write=204
POST   /api/v1/schedules/{schedule}/enable/            401 404 403 200 200 404  pipelines:write=200
POST   /api/v1/schedules/{schedule}/disable/           401 404 403 200 200 404  pipelines:write=200
GET    /api/v1/models/                                 401 200 200 200 200 200  read=200
POST   /api/v1/models/                                 401 404 403 201 201 404  models:write=201
GET    /api/v1/models/{model}/                         401 404 200 200 200 404  read=200
PATCH  /api/v1/models/{model}/                         401 404 403 403 200 404  models:write=200
GET    /api/v1/models/{model}/history/                 401 404 200 200 200 404  read=200
POST   /api/v1/models/{model}/aliases/                 401 404 403 200 200 404  models:write=200
POST   /api/v1/models/{model}/aliases/remove/          401 404 403 200 200 404  models:write=200
GET    /api/v1/model-versions/                         401 200 200 200 200 200  read=200
POST   /api/v1/model-versions/                         401 404 403 201 201 404  models:write=201
GET    /api/v1/model-versions/{model_version}/         401 404 200 200 200 404  read=200
POST   /api/v1/model-versions/{model_version}/approve/ 401 404 403 403 200 404  models:write=200
POST   /api/v1/model-versions/{model_version}/reject/  401 404 403 403 200 404  models:write=200
GET    /api/v1/endpoints/                              401 200 200 200 200 200  read=200
POST   /api/v1/endpoints/                              401 404 403 201 201 404  endpoints:write=201
GET    /api/v1/endpoints/{endpoint}/                   401 404 200 200 200 404  read=200
GET    /api/v1/endpoints/{endpoint}/schema/            401 404 200 200 200 404  read=200
PATCH  /api/v1/endpoints/{endpoint}/                   401 404 403 200 200 404  endpoints:write=200
POST   /api/v1/endpoints/{endpoint}/weights/           401 404 403 202 202 404  endpoints:write=202
POST   /api/v1/endpoints/{endpoint}/roll-back/         401 404 403 202 202 404  endpoints:write=202
GET    /api/v1/releases/                               401 200 200 200 200 200  read=200
POST   /api/v1/releases/                               401 404 403 201 201 404  endpoints:write=201
GET    /api/v1/releases/{release}/                     401 404 200 200 200 404  read=200
POST   /api/v1/releases/{spare_release}/retire/        401 404 403 200 200 404  endpoints:write=200
GET    /api/v1/route-changes/                          401 200 200 200 200 200  read=200
GET    /api/v1/route-changes/{route_change}/           401 404 200 200 200 404  read=200
GET    /api/v1/endpoint-keys/                          401 200 200 200 200 200  read=200
POST   /api/v1/endpoint-keys/                          401 404 403 403 201 404  endpoints:write=201
GET    /api/v1/endpoint-keys/{endpoint_key}/           401 404 200 200 200 404  read=200
POST   /api/v1/endpoint-keys/{endpoint_key}/rotate/    401 404 403 403 201 404  endpoints:write=201
POST   /api/v1/endpoint-keys/{endpoint_key}/revoke/    401 404 403 403 200 404  endpoints:write=200
GET    /api/v1/project-files/{slug}/                   401 404 200 200 200 404  read=200
POST   /api/v1/project-files/plan/                     401 404 403 200 200 404  read=200
POST   /api/v1/project-files/apply/                    401 404 403 200 200 404  projects:write=200
GET    /api/v1/document-schemas/pipeline/              401 200 200 200 200 200  read=200
"""

PROJECT_FILE = "portolan: 1\nproject: \n  slug: {slug}\n  name: Hidden Reef Survey\n"
BODIES: dict[str, dict[str, Any]] = {
    "POST /api/v1/endpoints/": {
        "project": "{slug}",
        "slug": "second",
        "definition": {"model": "churn"},
    },
    "PATCH /api/v1/endpoints/{endpoint}/": {"description": "Who leaves?"},
    "POST /api/v1/endpoints/{endpoint}/weights/": {"weights": {"first": 100}},
    "POST /api/v1/releases/": {
        "project": "{slug}",
        "endpoint": "deployed",
        "version": "{releasable_version}",
        "slug": "next",
    },
    "POST /api/v1/endpoint-keys/": {"project": "{slug}", "endpoint": "deployed", "name": "k"},
    "POST /api/v1/schedules/": {"project": "{slug}", "slug": "second", "definition": WEEKLY},
    "PATCH /api/v1/schedules/{schedule}/": {"definition": WEEKLY},
    "POST /api/v1/models/": {"project": "{slug}", "slug": "second"},
    "PATCH /api/v1/models/{model}/": {"policy": {"needs_onnx": True}},
    "POST /api/v1/models/{model}/aliases/": {"name": "next", "version": "{model_version}"},
    "POST /api/v1/models/{model}/aliases/remove/": {"name": "best"},
    "POST /api/v1/model-versions/": {
        "project": "{slug}",
        "model": "registered",
        "run": "{registrable_run}",
    },
    "POST /api/v1/model-versions/{model_version}/approve/": {"reason": "Good."},
    "POST /api/v1/model-versions/{model_version}/reject/": {"reason": "Bad."},
    "POST /api/v1/pipelines/": {"project": "{slug}", "slug": "yearly", "definition": MONTHLY},
    "PATCH /api/v1/pipelines/{pipeline}/": {"description": "Other"},
    "POST /api/v1/pipelines/{pipeline}/versions/": {"definition": MONTHLY},
    "POST /api/v1/pipelines/preview/": {
        "project": "{slug}",
        "definition": MONTHLY,
        "step": "nowhere",
    },
    "POST /api/v1/pipeline-versions/{pipeline_version}/preview/": {"step": "nowhere"},
    "POST /api/v1/experiments/": {"project": "{slug}", "slug": "second"},
    "POST /api/v1/sources/": {
        "project": "{slug}",
        "slug": "second",
        "definition": {
            "connection": {"kind": "folder", "path": "nowhere"},
            "format": {"kind": "parquet"},
        },
    },
    "PATCH /api/v1/sources/{source}/": {"description": "Other"},
    "POST /api/v1/datasets/": {"project": "{slug}", "slug": "second"},
    "POST /api/v1/datasets/{dataset}/ingest/": {},
    # Of a column that is not there, so that nobody waits for a worker.
    "GET /api/v1/dataset-versions/{dataset_version}/rows/": {"where": "nothing=1"},
    "PATCH /api/v1/experiments/{experiment}/": {"description": "Who leaves?"},
    "POST /api/v1/runs/": {
        "project": "{slug}",
        "experiment": "churn",
        "definition": DEFINITION,
    },
    "PATCH /api/v1/runs/{run}/": {"tags": {"note": "second"}},
    "POST /api/v1/runs/compare/": {"runs": ["{run}"]},
    "POST /projects/new/": {"name": "Second"},
    "POST /p/{slug}/members/": {"email": "new@example.com", "role": "viewer"},
    "POST /p/{slug}/members/{member}/role/": {"role": "contributor"},
    "POST /p/{slug}/tokens/": {"name": "t", "role": "viewer", "scopes": ["read"], "days": 1},
    "POST /p/{slug}/settings/": {"name": "Other"},
    "POST /p/{slug}/archive/": {"archive": "1"},
    "POST /p/{slug}/checks/new/": {"target": "local", "seconds": 0, "memory_mb": 256},
    "POST /targets/local/change/": {"desired": "paused"},
    "POST /site/people/invite/": {"email": "b@example.com", "name": "B"},
    "POST /me/": {"name": "Me", "time_zone": "UTC"},
    "POST /me/tokens/": {"name": "t", "scopes": ["read"], "days": 1},
    "POST /account/invitation/{invitation}/": {"name": "N", "password": "correct horse battery"},
    "PATCH /api/v1/me/": {"name": "Me"},
    "POST /api/v1/invitations/": {"email": "b@example.com", "name": "B"},
    "POST /api/v1/tokens/": {"name": "t", "scopes": ["read"]},
    "POST /api/v1/projects/": {"name": "Second"},
    "PATCH /api/v1/projects/{slug}/": {"name": "Other"},
    "POST /api/v1/members/": {"project": "{slug}", "email": "new@example.com", "role": "viewer"},
    "PATCH /api/v1/members/{member}/": {"role": "contributor"},
    "POST /api/v1/project-tokens/": {
        "project": "{slug}",
        "name": "t",
        "role": "viewer",
        "scopes": ["read"],
    },
    "POST /api/v1/target-checks/": {"project": "{slug}"},
    "POST /api/v1/probes/": {"target": "nowhere"},
    "POST /api/v1/backups/": {},
    "POST /api/v1/project-files/plan/": {"document": PROJECT_FILE},
    "POST /api/v1/project-files/apply/": {"document": PROJECT_FILE},
    "POST /api/v1/monitors/": {
        "project": "{slug}",
        "slug": "new",
        "definition": {
            "endpoint": "watched",
            "signals": [{"signal": "psi", "threshold": 0.2}],
        },
    },
    "PATCH /api/v1/monitors/{monitor}/": {
        "definition": {"endpoint": "watched", "signals": [{"signal": "ks", "threshold": 0.1}]}
    },
    "POST /api/v1/monitors/{monitor}/evaluate/": {},
    # Of an endpoint that is not there, so that nobody waits for a worker.
    "GET /api/v1/traces/": {"project": "{slug}", "request_id": "x", "endpoint": "nowhere"},
    "GET /api/v1/traces/rows/": {"project": "{slug}", "request_id": "x", "endpoint": "nowhere"},
    "GET /api/v1/lineage/": {"kind": "dataset_version", "id": "{traced_version}"},
}
