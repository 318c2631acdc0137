// The first view: send files, and the list of jobs.
import { follow, get, listen } from "./api.js";
import { html, useEffect, useMemo, useRef, useState } from "./base.js";
import { count, isOver, number } from "./format.js";
import { change } from "./location.js";
import { Announce, Bar, Failed, Loading, Status, Time, asFailure, useTitle } from "./parts.js";
import { Send } from "./send.js";

const PAGE_SIZE = 50;
const SEARCH_PAUSE_MS = 250;
const STATUSES = [["", "Any"], ["QUEUED", "Waiting"], ["PROCESSING", "Being checked"], ["COMPLETED", "Checked"], ["FAILED", "Could not be read"], ["CANCELLED", "Cancelled"]];
const TYPES = [["", "Any"], ["csv", "CSV"], ["xlsx", "Excel (.xlsx)"], ["xls", "Excel (.xls)"]];
const FILTERS = ["q", "status", "file_type"];

export function Home({ query }) {
	useTitle("Files");
	return html`<h1 tabindex="-1">Check a file</h1>
		<${Send} />
		<${Jobs} query=${query} />`;
}

function Jobs({ query }) {
	const filter = useMemo(() => Object.fromEntries(FILTERS.filter((name) => query.get(name)).map((name) => [name, query.get(name)])), [query.toString()]);
	const { jobs, total, cursor, failure, more, isLoading } = useJobs(filter);
	const isFiltered = Object.keys(filter).length > 0;
	return html`<section aria-labelledby="jobs" class="jobs">
		<h2 id="jobs">Files so far</h2>
		<${Filter} filter=${filter} />
		<${Failed} failure=${failure} />
		${jobs === null && !failure && html`<${Loading} />`}
		${jobs?.length === 0 &&
		(isFiltered
			? html`<p class="nothing">No file matches. <button type="button" class="link" onClick=${() => change({ q: null, status: null, file_type: null })}>Show all files</button></p>`
			: html`<p class="nothing">Nothing was sent yet. Drop a file above: what is wrong in it is told row by row, and you get it back with each error marked.</p>`)}
		${jobs?.length > 0 && html`<${JobTable} jobs=${jobs} />`}
		${jobs?.length > 0 &&
		html`<p class="more">
			${number(jobs.length)} of ${count(Math.max(total, jobs.length), "file")}
			${cursor && html` <button type="button" disabled=${isLoading} onClick=${more}>${isLoading ? "Loading …" : "Show more"}</button>`}
		</p>`}
		<${Announce} text=${isFiltered && jobs ? `${count(total, "file")} found` : ""} />
	</section>`;
}

function Filter({ filter }) {
	const [text, setText] = useState(filter.q || "");
	const timer = useRef();
	useEffect(() => setText((now) => (now.trim() === (filter.q || "") ? now : filter.q || "")), [filter.q]);
	useEffect(() => () => clearTimeout(timer.current), []);
	function search(event) {
		const { value } = event.target;
		setText(value);
		clearTimeout(timer.current);
		timer.current = setTimeout(() => change({ q: value.trim() }, { replace: true }), SEARCH_PAUSE_MS);
	}
	const choose = (name) => (event) => change({ [name]: event.target.value }, { replace: true });
	const options = (entries, chosen) => entries.map(([value, word]) => html`<option value=${value} selected=${value === (chosen || "")}>${word}</option>`);
	return html`<form class="filter" role="search" onSubmit=${(event) => event.preventDefault()}>
		<label>Name <input type="search" value=${text} maxlength="255" placeholder="Part of the file's name" onInput=${search} /></label>
		<label>Status <select onChange=${choose("status")}>${options(STATUSES, filter.status)}</select></label>
		<label>Kind <select onChange=${choose("file_type")}>${options(TYPES, filter.file_type)}</select></label>
	</form>`;
}

function JobTable({ jobs }) {
	return html`<table class="list">
		<thead><tr><th scope="col">File</th><th scope="col">Result</th><th scope="col" class="figure">Rows</th><th scope="col" class="figure">Errors</th><th scope="col">Sent</th></tr></thead>
		<tbody>${jobs.map((job) => html`<${JobLine} key=${job.id} job=${job} />`)}</tbody>
	</table>`;
}

function JobLine({ job }) {
	return html`<tr>
		<th scope="row"><a href=${`/app/jobs/${job.id}`} dir="auto">${job.filename}</a></th>
		<td><${Status} job=${job} />${job.status === "PROCESSING" && html` <${Bar} value=${job.progress} label=${`${job.filename}: checked so far`} />`}</td>
		<td class="figure" data-label="Rows">${isOver(job) || job.rows_processed ? number(job.rows_processed) : "–"}</td>
		<td class="figure" data-label="Errors">${isOver(job) || job.error_count ? number(job.error_count) : "–"}</td>
		<td data-label="Sent"><${Time} at=${job.created_at} /></td>
	</tr>`;
}

// The jobs that match, as far as they were asked for, kept up to date by events.
function useJobs(filter) {
	const [state, setState] = useState({ jobs: null, total: 0, cursor: null });
	const [failure, setFailure] = useState(null);
	const [isLoading, setLoading] = useState(false);
	const key = JSON.stringify(filter);
	const parameters = (extra) => new URLSearchParams({ page_size: PAGE_SIZE, ...filter, ...extra });

	useEffect(() => {
		const controller = new AbortController();
		async function load() {
			try {
				const page = await get(`/api/jobs?${parameters()}`, controller.signal);
				const last = page.jobs.at(-1);
				setState((before) => {
					// What was shown further down stays.
					const rest = before.key === key && page.next_cursor ? (before.jobs || []).filter((job) => job.created_at < last.created_at) : [];
					return { key, jobs: [...page.jobs, ...rest], total: page.total, cursor: rest.length ? before.cursor : page.next_cursor };
				});
				setFailure(null);
			} catch (error) {
				if (!controller.signal.aborted) setFailure(asFailure(error));
			}
		}
		load();
		const stop = follow("/api/events", {
			onOpen: load, // what changed before the stream was open
			onEvent(name, job) {
				setState((before) => {
					if (before.key !== key || !before.jobs) return before;
					if (name === "deleted") return drop(before, job.id);
					return matches(job, filter) ? merge(before, [job]) : drop(before, job.id);
				});
			},
		});
		const forget = listen((what) => what.away === false && load());
		return () => {
			controller.abort();
			stop();
			forget();
		};
	}, [key]);

	async function more() {
		setLoading(true);
		try {
			const page = await get(`/api/jobs?${parameters({ cursor: state.cursor })}`);
			setState((before) => (before.key === key ? { ...merge(before, page.jobs), cursor: page.next_cursor, total: page.total } : before));
		} catch (error) {
			setFailure(asFailure(error));
		} finally {
			setLoading(false);
		}
	}
	return { ...state, failure, more, isLoading };
}

function matches(job, { q, status, file_type: type }) {
	return (!status || job.status === status) && (!type || job.file_type === type) && (!q || job.filename.toLowerCase().includes(q.toLowerCase()));
}

function merge(state, changed) {
	const known = new Map(state.jobs.map((job) => [job.id, job]));
	let added = 0;
	const last = state.jobs.at(-1);
	for (const job of changed) {
		const before = known.get(job.id);
		if (before && before.updated_at > job.updated_at) continue;
		// A job that is older than all that are shown comes with its page.
		if (!before && state.cursor && last && job.created_at < last.created_at && changed.length === 1) continue;
		if (!before) added += 1;
		known.set(job.id, job);
	}
	const jobs = [...known.values()];
	if (added) jobs.sort((one, other) => (one.created_at + one.id < other.created_at + other.id ? 1 : -1));
	return { ...state, jobs, total: state.total + added };
}

function drop(state, id) {
	const jobs = state.jobs.filter((job) => job.id !== id);
	return jobs.length === state.jobs.length ? state : { ...state, jobs, total: state.total - 1 };
}
