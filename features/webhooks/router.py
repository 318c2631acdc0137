"""GET /api/jobs/{job_id}/deliveries and POST …/deliveries/redeliver; what is sent to webhooks, for the document."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header

from features.webhooks import queries
from features.webhooks.problems import DeliveryPending, NothingToRedeliver
from features.webhooks.redeliver import restart_delivery
from features.webhooks.schemas import CANCELLED, COMPLETED, FAILED, OUTPUTS_READY, DeliveryList, DeliveryRead, WebhookBody
from shared.jobs.queries import require_job
from shared.web.auth import ViewerDep
from shared.web.database import ReadingDep, SessionDep
from shared.web.openapi import declare_tag
from shared.web.problems import JobNotFound, NotAuthenticated, responses
from shared.web.request_log import note_act

TAG = declare_tag("webhooks", place=70, description="What was sent to a job's `webhook_url`, and how it was answered.")
router = APIRouter(prefix="/api/jobs/{job_id}/deliveries", tags=[TAG])


@router.get("", responses=responses(JobNotFound, NotAuthenticated))
async def list_deliveries(job_id: uuid.UUID, session: ReadingDep, viewer: ViewerDep) -> DeliveryList:
    """What was sent to the job's webhook, with the last attempts of each delivery."""
    await require_job(session, job_id=job_id, viewer=viewer)
    found = await queries.list_deliveries(session, job_id=job_id)
    return DeliveryList(deliveries=[DeliveryRead.model_validate(delivery) for delivery in found])


@router.post("/redeliver", status_code=202, responses=responses(NothingToRedeliver, DeliveryPending, JobNotFound, NotAuthenticated))
async def redeliver(job_id: uuid.UUID, session: SessionDep, viewer: ViewerDep) -> DeliveryRead:
    """Send the newest delivery again with the same webhook-id; the new attempts are added to it."""
    delivery_id = await restart_delivery(session, job_id=job_id, viewer=viewer)
    note_act("redeliver", job_id=job_id, delivery_id=str(delivery_id))
    found = await queries.list_deliveries(session, job_id=job_id)
    return DeliveryRead.model_validate(next(delivery for delivery in found if delivery.id == delivery_id))


WebhookId = Annotated[uuid.UUID, Header(description="Names the delivery: the same in every retry and redelivery, so that you notice one that comes twice")]
WebhookTimestamp = Annotated[int, Header(description="When this attempt was sent, in seconds since 1970 (UTC); refuse one that is older than five minutes")]
WebhookSignature = Annotated[
    str | None,
    Header(
        description="`v1,` and the base64 of an HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, one for each secret of the service, separated by"
        " blanks; absent if the service has no `WEBHOOK_SECRET`. See https://www.standardwebhooks.com"
    ),
]
_AGAIN = "Tried again after 0.5, 1 and 2 s, or after `Retry-After`, until 10 s after the end of the job; so is a receiver that does not answer within 1.5 s"
_ANSWERS: dict[int | str, dict[str, Any]] = {
    204: {"description": "Any 2xx within 1.5 s: delivered. Answer first, and work later"},
    408: {"description": _AGAIN},
    429: {"description": _AGAIN},
    "3XX": {"description": "Not delivered, and not tried again: redirects are never followed"},
    "4XX": {"description": "Not delivered, and not tried again"},
    "5XX": {"description": _AGAIN},
}
_EVENTS = (
    (
        COMPLETED,
        "Job completed",
        "Every row was read, however many are bad; `valid` tells whether there is any error. Outputs are still to be made.",
    ),
    (FAILED, "Job failed", "The file cannot be read to its end; `error_message` says why."),
    (CANCELLED, "Job cancelled", "A client stopped the job."),
    (
        OUTPUTS_READY,
        "Outputs ready",
        "The last of the outputs that were asked for with the file is READY or FAILED; comes after the end of the job.",
    ),
)

webhooks = APIRouter(tags=[TAG])
"""What this service sends; only the document uses it."""


async def receive_webhook(body: WebhookBody, webhook_id: WebhookId, webhook_timestamp: WebhookTimestamp, webhook_signature: WebhookSignature = None) -> None:
    """Stand for the receiver of a webhook."""


for example, summary, description in _EVENTS:
    webhooks.add_api_route(
        example["type"],
        receive_webhook,
        methods=["POST"],
        operation_id=example["type"].replace(".", "_"),
        summary=summary,
        description=f"{description} Sent to the job's `webhook_url`.",
        status_code=HTTPStatus.NO_CONTENT,
        responses=_ANSWERS,
        openapi_extra={"requestBody": {"content": {"application/json": {"example": example}}}},
    )
