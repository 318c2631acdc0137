"""GET /api/jobs/{job_id}/deliveries and POST …/deliveries/redeliver."""

from __future__ import annotations

import uuid

from fastapi import APIRouter

from features.webhooks import queries
from features.webhooks.problems import DeliveryPending, NothingToRedeliver
from features.webhooks.redeliver import restart_delivery
from features.webhooks.schemas import DeliveryList, DeliveryRead
from shared.db.session import ReadingDep, SessionDep
from shared.jobs.queries import require_job
from shared.web.auth import ViewerDep
from shared.web.problems import JobNotFound, NotAuthenticated, responses

router = APIRouter(prefix="/api/jobs/{job_id}/deliveries", tags=["webhooks"])


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
    found = await queries.list_deliveries(session, job_id=job_id)
    return DeliveryRead.model_validate(next(delivery for delivery in found if delivery.id == delivery_id))
