"""Tell a client's webhook that its job has ended and that its outputs are ready, and record every attempt to do so.

Writes: `webhook_deliveries`, `webhook_attempts`. Runs: `webhooks.send_delivery`, `webhooks.send_due`, `webhooks.remove_orphans`.
Sends: `webhooks.send_delivery`. Events in: `JobFinished`, `OutputsReady`.
"""
