"""What the OpenAPI document says before its first endpoint: the way of a file, and what holds for all endpoints. Shown at /docs as Markdown."""

from __future__ import annotations

# A line that goes on is joined by a backslash, because the page at /docs keeps line breaks.
INTRODUCTION = """\
## The way of a file

1. **Send it**: `POST /api/files/upload`, a form with the field `file`. The answer comes at once and has the `job_id`. Without a `schema`, the types \
and the required columns are inferred from the file itself.
2. **Follow the job**: `GET /api/jobs/{job_id}` shows its `status` and `progress`, and `GET /api/jobs/{job_id}/events` tells each change as it \
happens. It goes `QUEUED` → `PROCESSING` → `COMPLETED` (every row was read, however many are bad), `FAILED` (the file cannot be read to its end; \
`error_message` says why) or `CANCELLED`. `valid` is true only if there is no error at all.
3. **See what is wrong**: `GET /api/jobs/{job_id}/errors/summary` has one entry for each cause, with exact counts; `GET /api/jobs/{job_id}/errors` \
lists the errors by row and column, and `GET /api/jobs/{job_id}/rows` shows rows as they stand in the file.
4. **Take the result away**: `PUT /api/jobs/{job_id}/outputs/{name}` has a file made, such as `rejected.xlsx` (the bad rows, each with its errors) or \
`valid.csv` (the good ones), and `GET /api/jobs/{job_id}/outputs/{name}` sends it.
5. **Correct and check again**: get the schema from `GET /api/jobs/{job_id}/schema`, correct it, and send it with the next file, or to `POST \
/api/jobs/{job_id}/check-again`, which checks the stored file with it. A job that `FAILED` or was `CANCELLED` runs again after `POST \
/api/jobs/{job_id}/retry`.

Whoever does not want to wait gives a `webhook_url` with the file. It gets a `POST` when the job has ended, and another one when the outputs that were \
asked for with the file are there. Their bodies stand at the end of this page, under *Webhooks*.

## What holds for every endpoint

- **Authentication**: if the service has API keys, send yours in `X-API-Key`, or as `Authorization: Bearer`. A job belongs to the name of the key that \
sent it; with another name it is a 404.
- **Problems**: every failure is `application/problem+json` (RFC 9457). `type` tells programs what happened and never changes its meaning; `detail` \
tells people what to do; for bad input, `errors` has one entry for each thing that is wrong. A malformed request is a 400, and so are unknown query \
parameters.
- **Pages**: to read a long list to its end, send `next_cursor` of each page as `cursor` until it is null; each page is as fast as the first. `page` \
and `page_size` are for people.
- **Times** are RFC 3339 in UTC, ids are UUIDs. Rows are counted as a spreadsheet shows them: a header in the first row is row 1, and the first record \
is row 2.
- **Repeating an upload** is safe with an `Idempotency-Key`: the second time you get the first job again.
"""
