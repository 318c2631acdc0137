// What the job's webhook was sent, and sending it again.
import { ask, get } from "./api.js";
import { html } from "./base.js";
import { count, isOver, moment } from "./format.js";
import { Failed, Loading, useAction, useLoaded } from "./parts.js";

const WORDS = { PENDING: "on its way", DELIVERED: "delivered", REJECTED: "refused by the receiver", EXHAUSTED: "given up after all attempts" };

export function Deliveries({ job }) {
	const { data, failure, reload } = useLoaded((signal) => get(`/api/jobs/${job.id}/deliveries`, signal), [job.id, job.updated_at]);
	const action = useAction();
	const again = () => action.run(async () => {
		await ask("POST", `/api/jobs/${job.id}/deliveries/redeliver`);
		reload();
	});
	const list = data?.deliveries;
	const isPending = list?.some((delivery) => delivery.status === "PENDING");
	return html`<section aria-labelledby="deliveries"><h2 id="deliveries">Webhook</h2>
		${job.webhook_url ? html`<p>Is told at the end: <code>${job.webhook_url}</code></p>` : html`<p class="nothing">No webhook was given with this file. One can be given when a file is sent.</p>`}
		<${Failed} failure=${failure} />
		${!list && !failure && html`<${Loading} />`}
		${list?.length === 0 && job.webhook_url && html`<p class="nothing">Nothing was sent yet${isOver(job) ? "" : "; it is sent when the file has been checked"}.</p>`}
		${list?.map((delivery) => html`<section class="delivery" key=${delivery.id} aria-label=${`Delivery of ${moment(delivery.created_at)}`}>
			<h3>${delivery.event}: ${WORDS[delivery.status] || delivery.status}</h3>
			<p class="hint">${moment(delivery.created_at)} · <code>${delivery.id}</code> · ${count(delivery.attempts.length, "attempt")}</p>
			<ol>${delivery.attempts.map((attempt) => html`<li value=${attempt.number}>${moment(attempt.started_at)}, ${attempt.duration_ms} ms: ${attempt.error ?? `answered ${attempt.status_code}`}
				${attempt.response_excerpt && html`<details><summary>Its answer</summary><pre>${attempt.response_excerpt}</pre></details>`}</li>`)}</ol>
		</section>`)}
		${list && job.webhook_url && html`<p class="actions">
			${list.length > 0 && html`<button type="button" disabled=${action.isBusy || isPending} onClick=${again}>Send the newest again</button>`}
			<button type="button" class="link" onClick=${reload}>Look again</button></p>`}
		<${Failed} failure=${action.failure} />
	</section>`;
}
