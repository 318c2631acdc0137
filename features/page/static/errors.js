// The errors of a job: its causes by frequency, which filter the list, and each error in the table of its rows.
import { get } from "./api.js";
import { html, useId, useRef, useState } from "./base.js";
import { columnLetters, isOver, number, visible } from "./format.js";
import { change } from "./location.js";
import { Failed, Loading, NumberForm, useLoaded } from "./parts.js";
import { Rows } from "./rows.js";

const PAGE_SIZE = 25;
const CAUSES_SHOWN = 6;

export function Errors({ job, summary, query }) {
	const filter = { column: query.get("column"), type: query.get("type"), says: query.get("says") };
	const row = Number(query.get("row")) || null;
	if (!job.error_count) {
		return html`<section aria-labelledby="errors"><h2 id="errors">Errors</h2>
			<p class="nothing">No error was found${isOver(job) ? "." : " so far."}</p>
			<${GoToRow} job=${job} row=${row} /></section>`;
	}
	return html`<section aria-labelledby="errors">
		<h2 id="errors">Errors</h2>
		<${Causes} summary=${summary} filter=${filter} total=${job.error_count} />
		<${GoToRow} job=${job} row=${row} />
		<${ErrorList} job=${job} filter=${filter} query=${query} />
	</section>`;
}

const isChosen = (cause, filter) => cause.error_type === filter.type && (cause.column_name ?? null) === filter.column && (cause.error_message ?? null) === filter.says;

function Causes({ summary, filter, total }) {
	const [most, setMost] = useState(CAUSES_SHOWN);
	if (!summary) return html`<${Loading} what="Counting" />`;
	const causes = summary.by_column;
	const shown = causes.filter((cause, place) => place < most || isChosen(cause, filter));
	const isFiltered = Boolean(filter.type);
	const all = { type: null, column: null, says: null, page: null };
	const choose = (cause) => change(isChosen(cause, filter) ? all : { type: cause.error_type, column: cause.column_name, says: cause.error_message, page: null });
	return html`<section class="causes" aria-labelledby="causes">
		<h3 id="causes">What is wrong, the most frequent first</h3>
		<ul>${shown.map((cause) => html`<li key=${`${cause.column_name} ${cause.error_type} ${cause.error_message}`}>
			<button type="button" class="cause" aria-pressed=${isChosen(cause, filter)} onClick=${() => choose(cause)}>
				<span class="times">${number(cause.count)}<span class="unseen"> ${cause.count === 1 ? "time" : "times"}: </span></span>
				<span class="what"><b dir="auto">${cause.column_name ?? whole(cause)}</b> <span>${cause.error_message ?? cause.error_type}</span>
					${cause.examples.length > 0 && html`<span class="examples">${"for example "}${cause.examples.map((example, place) => html`${place ? ", " : ""}<code dir="auto">${visible(example)}</code>`)}</span>`}</span>
			</button></li>`)}</ul>
		<p>
			${causes.length > shown.length && html`<button type="button" class="link" onClick=${() => setMost(most + 100)}>Show more of ${number(causes.length)} causes</button>`}
			${isFiltered && html` <button type="button" class="link" onClick=${() => change(all)}>Show all ${number(total)} errors</button>`}
		</p>
	</section>`;
}

const whole = (cause) => (/label/.test(cause.error_type) ? "The header" : cause.error_type === "extra-cell" ? "Cells beyond the header" : "Whole rows");

// Shows any row of the file with those around it.
function GoToRow({ job, row }) {
	if (!isOver(job) || (job.status === "FAILED" && !job.rows_processed)) return null;
	return html`<${NumberForm} label="Go to row" verb="Show" value=${row} onSend=${(to) => change({ row: to && String(to) })}>
			${row && html`<button type="button" class="link" onClick=${() => change({ row: null })}>Close</button>`}
		<//>
		${row && html`<div class="context"><h3>Rows around row ${number(row)}</h3><${Rows} job=${job} row=${row} /></div>`}`;
}

function ErrorList({ job, filter, query }) {
	const page = Math.max(1, Number(query.get("page")) || 1);
	const [open, setOpen] = useState({});
	const parameters = new URLSearchParams({ page, page_size: PAGE_SIZE });
	if (filter.type) parameters.set("error_type", filter.type);
	if (filter.column !== null) parameters.set("column_name", filter.column);
	if (filter.says !== null) parameters.set("error_message", filter.says);
	const address = `/api/jobs/${job.id}/errors?${parameters}`;
	const { data, failure } = useLoaded((signal) => get(address, signal).then((list) => ({ list, address })), [address, job.updated_at, job.attempt]);
	const list = data?.list;
	const isStale = data && data.address !== address;
	const heading = useRef();
	if (failure && !list) return html`<${Failed} failure=${failure} />`;
	if (!list) return html`<${Loading} />`;
	const first = (list.page - 1) * PAGE_SIZE;
	// Of a list that is new the first error is open.
	const openId = open.address === data.address ? open.id : list.errors[0]?.id;
	function turn(to) {
		change({ page: to === 1 ? null : String(to) });
		heading.current?.focus();
	}
	return html`<section aria-labelledby="list" class=${isStale ? "stale" : ""} aria-busy=${isStale}>
		<h3 id="list" tabindex="-1" ref=${heading}>${list.errors.length ? `Errors ${number(first + 1)} to ${number(first + list.errors.length)} of ${number(list.total)}` : "No error is here"}</h3>
		<${Failed} failure=${failure} />
		<ol class="errors" start=${first + 1}>${list.errors.map((error) => html`<${ErrorEntry} key=${error.id} error=${error} job=${job} isOpen=${error.id === openId}
			onToggle=${() => setOpen({ address: data.address, id: error.id === openId ? null : error.id })} />`)}</ol>
		${list.total_pages > 1 && html`<${Pages} page=${list.page} pages=${list.total_pages} onTurn=${turn} />`}
	</section>`;
}

function ErrorEntry({ error, job, isOpen, onToggle }) {
	const id = useId();
	return html`<li class=${isOpen ? "error open" : "error"}>
		<button type="button" aria-expanded=${isOpen} aria-controls=${isOpen ? id : undefined} onClick=${onToggle}>
			<span class="place">${error.cell ?? `Row ${number(error.row_number)}`}</span>
			<span class="what"><b dir="auto">${error.column_name ?? (error.column_number ? `Column ${columnLetters(error.column_number)}` : "The whole row")}</b> <span>${error.error_message}</span></span>
			${error.raw_value !== null && html`<code class="value" dir="auto">${visible(error.raw_value)}</code>`}
		</button>
		${isOpen && html`<div id=${id} class="context"><${Rows} job=${job} row=${error.row_number} column=${error.column_number} /></div>`}
	</li>`;
}

function Pages({ page, pages, onTurn }) {
	return html`<${NumberForm} aria-label="Pages of errors" label="Page" verb="Go" value=${page} onSend=${(to) => onTurn(Math.min(pages, to ?? page))}>
		of ${number(pages)}
		<button type="button" disabled=${page <= 1} onClick=${() => onTurn(page - 1)}>Previous</button>
		<button type="button" disabled=${page >= pages} onClick=${() => onTurn(page + 1)}>Next</button>
	<//>`;
}
