"""Tell the client, and prove that it was told.

Writes: `webhook_deliveries`, `webhook_attempts`. Runs: `webhooks.send_delivery`, `webhooks.send_due`. Events in: `JobFinished`.
"""
