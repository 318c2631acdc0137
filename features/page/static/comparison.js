// What checking a file again has changed, beside the job that it was checked as before.
import { get } from "./api.js";
import { html } from "./base.js";
import { count, number } from "./format.js";
import { Failed, useLoaded } from "./parts.js";

const SHOWN = 20;

const keyOf = (cause) => JSON.stringify([cause.column_name, cause.error_type, cause.error_message]);

export function Comparison({ job, summary }) {
	const before = job.checked_again_from;
	const { data, failure } = useLoaded((signal) => get(`/api/jobs/${before}/errors/summary`, signal), [before]);
	const link = html`<a href=${`/app/jobs/${before}`}>the check before</a>`;
	if (failure) return failure.status === 404 ? html`<p class="hint">This file was checked before; that check has been deleted.</p>` : html`<${Failed} failure=${failure} />`;
	if (!data || !summary) return null;
	const changes = compare(data.by_column, summary.by_column);
	return html`<details class="comparison" open>
		<summary>Checked again: ${told(data)} then, ${told(summary)} now</summary>
		<p>This is what differs from ${link}.</p>
		${changes.length === 0
			? html`<p>The same causes, as often as before.</p>`
			: html`<div class="scroll" role="region" tabindex="0" aria-label="What has changed"><table class="changes">
					<thead><tr><th scope="col">Column</th><th scope="col">What is wrong</th><th scope="col" class="figure">Then</th><th scope="col" class="figure">Now</th></tr></thead>
					<tbody>${changes.slice(0, SHOWN).map((each) => html`<tr><th scope="row" dir="auto">${each.column_name ?? "–"}</th><td>${each.error_message ?? each.error_type}</td><td class="figure">${number(each.then)}</td><td class="figure">${each.now === 0 ? "none" : number(each.now)}</td></tr>`)}</tbody>
				</table></div>`}
		${changes.length > SHOWN && html`<p class="hint">and ${number(changes.length - SHOWN)} more</p>`}
	</details>`;
}

const told = (summary) => (summary.error_count ? `${count(summary.error_count, "error")} in ${count(summary.rows_failed, "row")}` : "no error");

function compare(then, now) {
	const causes = new Map(then.map((cause) => [keyOf(cause), { ...cause, then: cause.count, now: 0 }]));
	for (const cause of now) {
		const known = causes.get(keyOf(cause));
		if (known) known.now = cause.count;
		else causes.set(keyOf(cause), { ...cause, then: 0, now: cause.count });
	}
	return [...causes.values()].filter((each) => each.then !== each.now).sort((one, other) => Math.abs(other.now - other.then) - Math.abs(one.now - one.then));
}
