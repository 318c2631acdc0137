// Small parts that several views use.
import { html, useEffect, useId, useRef, useState } from "./base.js";
import { listen } from "./api.js";
import { ago, moment, status } from "./format.js";

export function Status({ job }) {
	const { word, look } = status(job);
	return html`<span class=${`status ${look}`}>${word}</span>`;
}

export function Time({ at }) {
	const [, tick] = useState(0);
	useEffect(() => {
		const timer = setInterval(() => tick((before) => before + 1), 60_000);
		return () => clearInterval(timer);
	}, []);
	return html`<time datetime=${at} title=${moment(at)}>${ago(at)}</time>`;
}

export const Loading = ({ what = "Loading" }) => html`<p class="loading" role="status">${what} …</p>`;

export function Bar({ value, label }) {
	return html`<progress class="bar" max="100" value=${value} aria-label=${label}></progress>`;
}

export function useTitle(title) {
	useEffect(() => {
		document.title = `${title} – Rowgate`;
	}, [title]);
}

// What went wrong, with each entry of `errors` that no field shows at its place.
export function Failed({ failure, shown = () => false }) {
	if (!failure) return null;
	const rest = failure.errors.filter((error) => !shown(error));
	return html`<div class="failure" role="alert">
		<p>${failure.message}</p>
		${rest.length > 0 && html`<ul>${rest.map((error) => html`<li>${error.pointer || error.field ? html`<b>${error.pointer || error.field}</b>: ` : ""}${error.message}</li>`)}</ul>`}
	</div>`;
}

// Whether an entry of a problem's `errors` is about this field or a part of it.
export const isOf = (error, name) => error.field === name || error.pointer === `/${name}` || Boolean(error.pointer?.startsWith(`/${name}/`));

// A field for text, short or (with `rows`) long, with what is wrong with it. With `file` the text can be taken from a file.
export function TextField({ name, label, hint, rows, value, errors, file, onChange }) {
	const id = useId();
	const wrong = errors.filter((error) => isOf(error, name));
	const attributes = {
		id,
		value,
		spellcheck: false,
		"aria-describedby": `${id}-hint${wrong.length ? ` ${id}-wrong` : ""}`,
		"aria-invalid": wrong.length > 0,
		onInput: (event) => onChange(event.target.value),
	};
	async function read(event) {
		const [chosen] = event.target.files;
		if (chosen) onChange(await chosen.text());
		event.target.value = "";
	}
	return html`<div class="field">
		<label for=${id}>${label}</label>
		<p id=${`${id}-hint`} class="hint">${hint}</p>
		${rows ? html`<textarea rows=${rows} ...${attributes}></textarea>` : html`<input type="text" ...${attributes} />`}
		${file && html`<p><label class="from-file">From a file: <input type="file" accept=".json,application/json" onChange=${read} /></label></p>`}
		${wrong.length > 0 && html`<ul id=${`${id}-wrong`} class="wrong">${wrong.map((error) => html`<li>${error.pointer && error.pointer !== `/${name}` ? html`<code>${error.pointer}</code>: ` : ""}${error.message}</li>`)}</ul>`}
	</div>`;
}

// A number to go to: "Go to row 12". Calls `onSend` with it, or with null for anything that is none from 1 on.
export function NumberForm({ label, value, verb, onSend, children, ...rest }) {
	const [text, setText] = useState("");
	const id = useId();
	useEffect(() => setText(value ? String(value) : ""), [value]);
	function send(event) {
		event.preventDefault();
		onSend(/^[1-9]\d{0,9}$/.test(text.trim()) ? Number(text) : null);
	}
	return html`<form class="go" onSubmit=${send} ...${rest}>
		<label for=${id}>${label}</label> <input id=${id} inputmode="numeric" maxlength="10" size="8" value=${text} onInput=${(event) => setText(event.target.value)} />
		<button type="submit">${verb}</button> ${children}
	</form>`;
}

// A question before what cannot be undone. Calls `onAnswer` with true or false; Escape is false.
export function Question({ title, children, yes, onAnswer }) {
	const dialog = useRef();
	useEffect(() => {
		dialog.current.showModal();
	}, []);
	return html`<dialog ref=${dialog} aria-labelledby="question" onClose=${() => onAnswer(dialog.current.returnValue === "yes")}>
		<h2 id="question">${title}</h2>
		${children}
		<p class="actions">
			<button type="button" class="danger" onClick=${() => dialog.current.close("yes")}>${yes}</button>
			<button type="button" autofocus onClick=${() => dialog.current.close("no")}>No, go back</button>
		</p>
	</dialog>`;
}

// Runs what a button asks for, once at a time: {run, isBusy, failure}.
export function useAction() {
	const [isBusy, setBusy] = useState(false);
	const [failure, setFailure] = useState(null);
	async function run(action) {
		setBusy(true);
		setFailure(null);
		try {
			return await action();
		} catch (error) {
			if (error.name !== "AbortError") setFailure(asFailure(error));
			return undefined;
		} finally {
			setBusy(false);
		}
	}
	return { run, isBusy, failure, setFailure };
}

export function asFailure(error) {
	if (error.errors) return error;
	console.error(error); // a mistake of the page itself
	return { message: "Something went wrong in this page; load it again.", errors: [], status: 0 };
}

// Loads what `load(signal)` returns, anew each time one of `keys` changes: {data, failure, reload}. What was loaded stays while the next is on its way.
export function useLoaded(load, keys) {
	const [state, setState] = useState({});
	const [turn, setTurn] = useState(0);
	useEffect(() => {
		const controller = new AbortController();
		load(controller.signal).then(
			(data) => controller.signal.aborted || setState({ data }),
			(error) => controller.signal.aborted || setState((before) => ({ data: before.data, failure: asFailure(error) })),
		);
		return () => controller.abort();
	}, [...keys, turn]);
	useEffect(() => listen((what) => what.away === false && setTurn((before) => before + 1)), []);
	return { ...state, reload: () => setTurn((before) => before + 1) };
}

// Says to people who cannot see the page what has changed on it.
export function Announce({ text }) {
	return html`<p class="unseen" role="status" aria-live="polite">${text}</p>`;
}
