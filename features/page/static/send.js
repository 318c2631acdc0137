// Send files: drop or choose them, see them go up one after another, and read why one was refused.
import { upload } from "./api.js";
import { html, useEffect, useRef, useState } from "./base.js";
import { count, duration, number, size } from "./format.js";
import { go } from "./location.js";
import { Announce, Bar, TextField, isOf } from "./parts.js";

const OPTIONS = ["schema", "dialect", "encoding", "webhook_url"];
const WINDOW_MS = 5000; // over which the rate is taken

// Uploads go on while other views are shown, so they are kept here.
const uploads = { list: [], options: {}, listeners: new Set(), nextId: 1 };

function changed() {
	uploads.list = [...uploads.list];
	for (const listener of uploads.listeners) listener(uploads.list);
}

function useUploads() {
	const [list, setList] = useState(uploads.list);
	useEffect(() => {
		uploads.listeners.add(setList);
		setList(uploads.list);
		return () => uploads.listeners.delete(setList);
	}, []);
	return list;
}

function add(files) {
	for (const file of files) {
		uploads.list.push({ id: uploads.nextId++, file, state: "waits", sent: 0, total: file.size, marks: [] });
	}
	changed();
	next(files.length === 1);
}

function next(opens) {
	if (uploads.list.some((each) => each.state === "goes")) return;
	const entry = uploads.list.find((each) => each.state === "waits");
	if (entry) begin(entry, opens);
}

async function begin(entry, opens) {
	const form = new FormData();
	for (const [name, value] of Object.entries(uploads.options)) if (value.trim()) form.append(name, value.trim());
	form.append("file", entry.file);
	Object.assign(entry, { state: "goes", marks: [[performance.now(), 0]] });
	const { done, cancel } = upload(form, (sent, total) => {
		const now = performance.now();
		entry.marks = [...entry.marks.filter(([at]) => now - at < WINDOW_MS), [now, sent]];
		Object.assign(entry, { sent, total });
		changed();
	});
	entry.cancel = cancel;
	changed();
	try {
		const job = await done;
		Object.assign(entry, { state: "done", job });
		if (opens && window.location.pathname === "/") go(`/app/jobs/${job.job_id}`);
	} catch (failure) {
		if (failure.message === "Cancelled.") uploads.list = uploads.list.filter((each) => each !== entry);
		else Object.assign(entry, { state: "refused", failure });
	}
	changed();
	next(false);
}

function forget(entry) {
	uploads.list = uploads.list.filter((each) => each !== entry);
	changed();
}

// Whoever signs in next has nothing of this.
export function forgetAll() {
	for (const entry of uploads.list) entry.cancel?.();
	Object.assign(uploads, { list: [], options: {} });
}

function stop(entry) {
	if (entry.state === "goes") entry.cancel();
	else forget(entry);
}

function again(entry) {
	Object.assign(entry, { state: "waits", sent: 0, failure: null });
	changed();
	next(false);
}

window.addEventListener("beforeunload", (event) => {
	if (uploads.list.some((each) => each.state === "goes" || each.state === "waits")) event.preventDefault();
});

export function Send() {
	const [isOver, setOver] = useState(false);
	const [options, setOptions] = useState(uploads.options);
	uploads.options = options;
	const list = useUploads();
	const chooser = useRef();
	const refused = list.findLast((each) => each.state === "refused")?.failure.errors || [];
	function take(files) {
		if (files.length) add([...files]);
	}
	function drop(event) {
		event.preventDefault();
		setOver(false);
		take(event.dataTransfer.files);
	}
	return html`<section aria-label="Send files">
		<div class=${isOver ? "drop over" : "drop"} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)} onDrop=${drop}>
			<p><button type="button" class="main" onClick=${() => chooser.current.click()}>Choose files</button> <span class="or">or drop them here</span></p>
			<p class="hint">CSV or Excel (.csv, .xlsx, .xls). Every row is checked; you see what is wrong, and where.</p>
			<input ref=${chooser} type="file" class="unseen" multiple accept=".csv,.xlsx,.xls" tabindex="-1" aria-label="Files to send"
				onChange=${(event) => { take(event.target.files); event.target.value = ""; }} />
		</div>
		<${Options} options=${options} onChange=${setOptions} errors=${refused} />
		<${UploadList} list=${list} />
	</section>`;
}

const isOption = (error) => OPTIONS.some((name) => isOf(error, name));

function Options({ options, onChange, errors }) {
	const fold = useRef();
	const hasErrors = errors.some(isOption);
	useEffect(() => {
		if (hasErrors) fold.current.open = true;
	}, [hasErrors]);
	const field = (name) => ({ name, errors, value: options[name] || "", onChange: (value) => onChange((before) => ({ ...before, [name]: value })) });
	return html`<details ref=${fold} class="options" open=${Object.values(options).some(Boolean)}>
		<summary>Rules and format (optional)</summary>
		<p class="hint">Without them, what each column holds and how the file is written are found out from the file itself. What is said here goes with every file that is sent until this page is closed.</p>
		<${TextField} ...${field("schema")} label="Table Schema (JSON)" file hint="What each column must hold. A checked file's page has its schema to correct and take away." rows="5" />
		<${TextField} ...${field("dialect")} label="Table Dialect (JSON)" file hint='How the file is written, for example {"delimiter": ";", "headerRows": [3]} or {"sheetName": "Orders"}.' rows="2" />
		<${TextField} ...${field("encoding")} label="Encoding" hint="For example windows-1252." />
		<${TextField} ...${field("webhook_url")} label="Webhook" hint="An address that is told when the file has been checked." />
	</details>`;
}

function UploadList({ list }) {
	if (!list.length) return null;
	const waiting = list.filter((each) => each.state === "goes" || each.state === "waits").length;
	return html`<div class="uploads">
		<h2>Being sent</h2>
		<ul>${list.map((entry) => html`<${Upload} key=${entry.id} entry=${entry} />`)}</ul>
		<${Announce} text=${waiting ? "" : `${count(list.filter((each) => each.state === "done").length, "file")} sent, ${number(list.filter((each) => each.state === "refused").length)} refused`} />
	</div>`;
}

function Upload({ entry }) {
	const { file, state, failure, job } = entry;
	return html`<li class=${`upload ${state}`}>
		<p><b dir="auto">${file.name}</b> <span class="hint">${size(file.size)}</span></p>
		${state === "waits" && html`<p>Waits for the file before it. <button type="button" onClick=${() => stop(entry)}>Cancel</button></p>`}
		${state === "goes" && html`<${Progress} entry=${entry} />`}
		${state === "done" && html`<p>Sent. <a href=${`/app/jobs/${job.job_id}`}>See what was found</a></p>`}
		${state === "refused" &&
		html`<div class="failure" role="alert">
			<p>${failure.message}</p>
			${failure.errors.some((error) => !isOption(error)) && html`<ul>${failure.errors.filter((error) => !isOption(error)).map((error) => html`<li>${error.message}</li>`)}</ul>`}
			${failure.errors.some(isOption) && html`<p>What is wrong is said at the fields above.</p>`}
			<p class="actions"><button type="button" onClick=${() => again(entry)}>Send it again</button> <button type="button" onClick=${() => forget(entry)}>Remove</button></p>
		</div>`}
	</li>`;
}

function Progress({ entry }) {
	const { sent, total, marks } = entry;
	const percent = total ? Math.floor((100 * sent) / total) : 0;
	const [first, last] = [marks[0], marks.at(-1)];
	const rate = last[0] > first[0] ? ((last[1] - first[1]) / (last[0] - first[0])) * 1000 : 0;
	const left = rate ? ` · ${size(rate)}/s · ${duration((total - sent) / rate)} left` : "";
	const text = sent < total || !total ? `${percent} % · ${size(sent)} of ${size(total)}${left}` : "All of it is sent; the service is storing it …";
	return html`<p><${Bar} value=${percent} label=${`${entry.file.name}: sent so far`} /> ${text} <button type="button" onClick=${() => stop(entry)}>Cancel</button></p>`;
}

// What other views show of files that are still being sent.
export function Sending() {
	const waiting = useUploads().filter((each) => each.state === "goes" || each.state === "waits");
	if (!waiting.length) return null;
	return html`<p class="sending" role="status">${count(waiting.length, "file is", "files are")} being sent. <a href="/">Show</a></p>`;
}
