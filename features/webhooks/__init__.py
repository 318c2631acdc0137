"""Notify clients of the end of a job, and keep a record of every attempt.

Writes: `webhook_deliveries`, `webhook_attempts`. Runs: `webhooks.send_delivery`, `webhooks.send_due`, `webhooks.remove_orphans`.
Sends: `webhooks.send_delivery`. Events in: `JobFinished`.
"""
