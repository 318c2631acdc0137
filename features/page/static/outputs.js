// What can be taken away of a job: made when it is asked for, then saved.
import { ask, get, getKey, save } from "./api.js";
import { html, useRef, useState } from "./base.js";
import { count, isOver, moment, size } from "./format.js";
import { Bar, Failed, Loading, useAction, useLoaded } from "./parts.js";

const KINDS = [
	["annotated", "The whole table, with its errors marked", "To mend: two columns in front say the row and what is wrong. In Excel bad cells are coloured and carry a comment. Send it again when it is mended."],
	["rejected", "Only the rows with errors", "To mend a few rows: as they stand, with the same two columns in front."],
	["valid", "Only the good rows", "To go on with: every row without an error. Of a CSV file these are its very bytes."],
	["errors", "The list of errors", "One line for each error: row, column, type, sentence and value."],
];
const FORMATS = { csv: "CSV", xlsx: "Excel", parquet: "Parquet", ndjson: "JSON lines" };
const OPEN = new Set(["QUEUED", "RUNNING"]);

export function Outputs({ job, version, onAsked }) {
	const { data, failure, reload } = useLoaded((signal) => get(`/api/jobs/${job.id}/outputs`, signal), [job.id, job.attempt, version]);
	return html`<section aria-labelledby="outputs"><h2 id="outputs">Take away</h2>
		<${Failed} failure=${failure} />
		${!data && !failure && html`<${Loading} />`}
		${data && !data.available.length && html`<p class="nothing">${isOver(job) ? "Nothing can be made of this file, since its rows were not read." : "Files can be made when this one has been checked."}</p>`}
		${data && KINDS.map(([kind, title, text]) => {
			const names = data.available.filter((name) => name.startsWith(`${kind}.`));
			return names.length > 0 && html`<section key=${kind} class="kind" aria-labelledby=${kind}><h3 id=${kind}>${title}</h3><p class="hint">${text}</p>
				<ul class="outputs">${names.map((name) => html`<${Output} key=${name} job=${job} name=${name} output=${data.outputs.find((each) => each.name === name)} onAsked=${() => { reload(); onAsked(); }} />`)}</ul></section>`;
		})}
	</section>`;
}

function Output({ job, name, output, onAsked }) {
	const { run, isBusy, failure } = useAction();
	const [isSaving, setSaving] = useState(false);
	const item = useRef();
	const word = FORMATS[name.split(".")[1]];
	const make = () => run(async () => {
		item.current.focus(); // the button goes
		await ask("PUT", `/api/jobs/${job.id}/outputs/${name}`);
		onAsked();
	});
	const fetchIt = () => run(async () => {
		setSaving(true);
		try {
			await save(output.url, saveName(job.filename, name));
		} finally {
			setSaving(false);
		}
	});
	return html`<li class="output" tabindex="-1" ref=${item}>
		<b>${word}</b>
		${!output && html` <button type="button" disabled=${isBusy} onClick=${make}>Make it<span class="unseen"> (${name})</span></button>`}
		${output && OPEN.has(output.status) && html` <span role="status">being made … </span><${Bar} value=${output.progress} label=${`${name}: made so far`} />`}
		${output?.status === "FAILED" && html` <span class="wrong">${output.error_message}</span> <button type="button" disabled=${isBusy} onClick=${make}>Try again<span class="unseen"> (${name})</span></button>`}
		${output?.status === "READY" && html` ${getKey()
				? html`<button type="button" class="main" disabled=${isBusy} onClick=${fetchIt}>${isSaving ? "Fetching …" : "Save"}<span class="unseen"> ${name}</span></button>`
				: html`<a class="button main" href=${output.url} download>Save<span class="unseen"> ${name}</span></a>`}
			<span class="hint">${size(output.size_bytes)}, ${count(output.row_count, name.startsWith("errors") ? "error" : "row")}, made ${moment(output.completed_at)}</span>
			${output.notes.length > 0 && html`<ul class="hint">${output.notes.map((note) => html`<li>${note}</li>`)}</ul>`}`}
		<${Failed} failure=${failure} />
	</li>`;
}

const saveName = (filename, name) => `${filename.replace(/\.[^.]*$/, "")}-${name}`;
