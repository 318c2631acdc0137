// One job: what came of it in a sentence, and its views.
import { ask, follow, get, listen } from "./api.js";
import { html, useEffect, useState } from "./base.js";
import { Comparison } from "./comparison.js";
import { Deliveries } from "./deliveries.js";
import { Errors } from "./errors.js";
import { count, isOver, moment, number, outcome, size, status } from "./format.js";
import { focusHeading, go } from "./location.js";
import { Outputs } from "./outputs.js";
import { Announce, Bar, Failed, Loading, Question, Status, asFailure, useAction, useTitle } from "./parts.js";
import { Schema } from "./schema.js";

const MARKED = "annotated.xlsx";
const VIEWS = [["", "Errors"], ["schema", "Columns and rules"], ["outputs", "Take away"], ["webhook", "Webhook"], ["details", "Details"]];

export function Job({ id, query }) {
	const { job, summary, failure, isDeleted, reload, version } = useJob(id);
	useTitle(job ? `${job.filename}: ${status(job).word}` : "File");
	useEffect(focusHeading, [job?.status]);
	if (isDeleted || failure?.status === 404) {
		return html`<section class="lone"><h1 tabindex="-1">There is no such file</h1>
			<p>It may have been deleted, the address may be incomplete, or it was sent by somebody else. <a href="/">Go to the files</a>.</p></section>`;
	}
	if (!job) return failure ? html`<h1 tabindex="-1">File</h1><${Failed} failure=${failure} />` : html`<h1 tabindex="-1">File</h1><${Loading} />`;
	const view = query.get("view") || "";
	return html`<article class="job">
		<${Head} job=${job} summary=${summary} onChanged=${reload} />
		<${Failed} failure=${failure} />
		${job.checked_again_from && isOver(job) && html`<${Comparison} job=${job} summary=${summary} />`}
		<nav class="views" aria-label="Of this file">
			${VIEWS.map(([name, word]) => html`<a href=${name ? `/app/jobs/${id}?view=${name}` : `/app/jobs/${id}`} aria-current=${name === view ? "page" : undefined}>${word}${name === "" && job.error_count ? html` <span class="badge">${number(job.error_count)}</span>` : ""}</a>`)}
		</nav>
		${view === "" && html`<${Errors} job=${job} summary=${summary} query=${query} />`}
		${view === "schema" && html`<${Schema} job=${job} />`}
		${view === "outputs" && html`<${Outputs} job=${job} version=${version} onAsked=${reload} />`}
		${view === "webhook" && html`<${Deliveries} job=${job} />`}
		${view === "details" && html`<${Details} job=${job} />`}
		${!VIEWS.some(([name]) => name === view) && html`<p>There is no such view. Choose one above.</p>`}
		<${Announce} text=${`${job.filename}: ${status(job).word}`} />
	</article>`;
}

// A job as it stands now, told by events; `version` rises with each of them.
function useJob(id) {
	const [state, setState] = useState({ version: 0 });
	const [turn, setTurn] = useState(0);
	const reload = () => setTurn((before) => before + 1);
	useEffect(() => {
		let isGone = false;
		let counted;
		let timer;
		const set = (change) => isGone || setState((before) => ({ ...before, ...change(before) }));
		async function show(job) {
			set((before) => ({ job, failure: null, version: before.version + 1 }));
			clearTimeout(timer);
			if (job.status === "QUEUED") timer = setTimeout(look, 10_000); // its place changes without an event
			if (counted === job.updated_at) return;
			counted = job.updated_at;
			try {
				const summary = await get(`/api/jobs/${id}/errors/summary`);
				if (counted === job.updated_at) set(() => ({ summary }));
			} catch (error) {
				counted = null;
				set(() => ({ failure: asFailure(error) }));
			}
		}
		const look = () => get(`/api/jobs/${id}`).then(show, (error) => set(() => ({ failure: asFailure(error) })));
		const stop = follow(`/api/jobs/${id}/events`, {
			onEvent: (name, job) => (name === "deleted" ? set(() => ({ isDeleted: true })) : show(job)),
			onFull: look,
			onEnd: (failure) => failure && set(() => ({ failure })),
		});
		const forget = listen((what) => what.away === false && look());
		return () => {
			isGone = true;
			clearTimeout(timer);
			forget();
			stop();
		};
	}, [id, turn]);
	return { ...state, reload };
}

function Head({ job, summary, onChanged }) {
	const [question, setQuestion] = useState(null);
	const { run, isBusy, failure } = useAction();
	const act = (method, path) => run(async () => {
		await ask(method, `/api/jobs/${job.id}${path}`);
		onChanged();
	});
	const takeBack = () => run(async () => {
		await ask("PUT", `/api/jobs/${job.id}/outputs/${MARKED}`);
		onChanged();
		go(`/app/jobs/${job.id}?view=outputs`);
	});
	async function answer(yes) {
		setQuestion(null);
		if (!yes) return;
		if (question === "cancel") {
			await act("POST", "/cancel");
			return;
		}
		const isDone = await run(async () => {
			await ask("DELETE", `/api/jobs/${job.id}`);
			return true;
		});
		if (isDone) go("/");
	}
	return html`<header class="head">
		<h1 tabindex="-1" dir="auto">${job.filename}</h1>
		<p class="outcome"><${Status} job=${job} /> <${Outcome} job=${job} summary=${summary} /></p>
		${job.status === "PROCESSING" && html`<p><${Bar} value=${job.progress} label="Checked so far" /> ${job.progress} %</p>`}
		${job.status === "FAILED" && html`<p class="hint">Mend the file and send it again, or say in “Columns and rules” how it is to be read. If the file is not at fault, start over.</p>`}
		${job.errors_truncated && html`<p class="hint">Not every error is kept: the counts are exact, the list has the first ones.</p>`}
		<${Notes} job=${job} />
		<p class="actions">
			${!isOver(job) && html`<button type="button" disabled=${isBusy} onClick=${() => setQuestion("cancel")}>Cancel</button>`}
			${(job.status === "FAILED" || job.status === "CANCELLED") && html`<button type="button" class="main" disabled=${isBusy} onClick=${() => act("POST", "/retry")}>Start over</button>`}
			${job.status === "COMPLETED" && job.error_count > 0 && html`<button type="button" class="main" disabled=${isBusy} onClick=${takeBack}>Get it back with its errors marked</button>`}
			${isOver(job) && html`<button type="button" disabled=${isBusy} onClick=${() => setQuestion("delete")}>Delete</button>`}
		</p>
		<${Failed} failure=${failure} />
		${question === "delete" &&
		html`<${Question} title="Delete this file?" yes="Delete it" onAnswer=${answer}>
			<p><b dir="auto">${job.filename}</b> is removed from the service with its errors and everything that was made of it. This cannot be undone.</p>
		<//>`}
		${question === "cancel" &&
		html`<${Question} title="Stop checking this file?" yes="Stop" onAnswer=${answer}>
			<p>What was found so far is kept. It can be started over later, from its first row.</p>
		<//>`}
	</header>`;
}

function Outcome({ job, summary }) {
	return outcome(job, summary).map((part) => (typeof part === "string" ? part : html`<em dir="auto">${part.column}</em>`));
}

function Notes({ job: { id, notes } }) {
	if (!notes?.length) return null;
	return html`<details class="notes" open=${notes.length <= 3}>
		<summary>${count(notes.length, "note")} on how the file was read</summary>
		<ul>${notes.map((note) => html`<li>${note.message}</li>`)}</ul>
		<p><a href=${`/app/jobs/${id}?view=schema`}>Say how it is to be read, and check it again</a></p>
	</details>`;
}

function Details({ job }) {
	const { source } = job;
	const told = [
		["Size", size(job.file_size)],
		["Encoding", source?.encoding],
		["Delimiter", source?.delimiter && (source.delimiter === "\t" ? "tab" : source.delimiter)],
		["Quotes", source?.quote_char],
		["Sheet", source?.sheet],
		["Header in row", source?.header_row && number(source.header_row)],
		["Sent", moment(job.created_at)],
		["Checked from", job.started_at && moment(job.started_at)],
		["Ended", job.completed_at && moment(job.completed_at)],
		["Sent by", job.submitted_by],
		["Your id", job.external_id],
		["Labels", Object.entries(job.labels).map(([name, value]) => `${name}: ${value}`).join(", ")],
		["SHA-256", job.sha256],
		["Job id", job.id],
	].filter(([, value]) => value);
	return html`<section aria-labelledby="details"><h2 id="details">Details</h2>
		<dl class="details">${told.map(([name, value]) => html`<div><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl></section>`;
}
