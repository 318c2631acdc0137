// Everything that the page asks of the service: JSON, files, uploads and events, with the key of this tab if there is one.

const KEY = "rowgate.key";
const LONGEST_PAUSE_MS = 10_000;

let listeners = new Set();
let isAway = false;

export const getKey = () => sessionStorage.getItem(KEY);

export function setKey(key) {
	if (key) sessionStorage.setItem(KEY, key);
	else sessionStorage.removeItem(KEY);
}

const headersOf = (extra = {}) => (getKey() ? { "X-API-Key": getKey(), ...extra } : extra);

// A failure as the service tells it (RFC 9457), or one of the connection (status 0).
export class Failure extends Error {
	constructor(status, problem) {
		super(problem.detail || problem.title || "Something went wrong; try again.");
		this.status = status;
		this.type = problem.type || "";
		this.errors = problem.errors || [];
	}
}

// Tells `listener` what concerns the whole page: {away: true or false}, {needsKey: true}. Returns a function that stops it.
export function listen(listener) {
	listeners.add(listener);
	return () => listeners.delete(listener);
}

function announce(what) {
	for (const listener of listeners) listener(what);
}

function noteAway(away) {
	if (away !== isAway) {
		isAway = away;
		announce({ away });
		if (away) probe();
	}
}

function fail(status, problem) {
	if (problem.type === "/problems/unavailable") noteAway(true);
	if (status === 401) announce({ needsKey: true, wasWrong: Boolean(getKey()) });
	return new Failure(status, problem);
}

// Asks now and then until there is an answer: not every view has a stream that would notice it.
const probe = () => setTimeout(() => isAway && get("/api/jobs?page_size=1").catch(probe), 3000);

function parse(text, status) {
	try {
		return JSON.parse(text);
	} catch {
		return { detail: `The service answered ${status} without saying why.` };
	}
}

const failOf = async (answer) => fail(answer.status, parse(await answer.text(), answer.status));

async function send(method, path, { body, signal, headers } = {}) {
	let answer;
	try {
		const json = body === undefined ? {} : { "Content-Type": "application/json" };
		answer = await fetch(path, { method, signal, headers: headersOf({ ...json, ...headers }), body: body === undefined ? undefined : JSON.stringify(body) });
	} catch (error) {
		if (error.name === "AbortError") throw error;
		noteAway(true);
		throw new Failure(0, { detail: "The service does not answer. The page tries again by itself." });
	}
	if (!answer.ok) throw await failOf(answer);
	noteAway(false);
	return answer;
}

// Returns the answer's JSON; null if it has no body. Throws `Failure`.
export async function ask(method, path, options) {
	const answer = await send(method, path, options);
	if (answer.status === 204) return null;
	return answer.json();
}

export const get = (path, signal) => ask("GET", path, { signal });

// Returns {found: rows}, or {pending: how far they are} while they are made ready.
export async function getRows(jobId, parameters, signal) {
	const answer = await send("GET", `/api/jobs/${jobId}/rows?${new URLSearchParams(parameters)}`, { signal });
	const body = await answer.json();
	return answer.status === 202 ? { pending: body } : { found: body };
}

// Saves a file. A link would do, but it cannot send the key.
export async function save(path, name) {
	const answer = await send("GET", path);
	if (answer.status === 202) throw new Failure(202, { detail: "The file is being made; try again in a moment." });
	saveBlob(await answer.blob(), name);
}

export function saveBlob(blob, name) {
	const url = URL.createObjectURL(blob);
	const link = document.createElement("a");
	link.href = url;
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

// Sends a file, and tells `onProgress` how many bytes have gone. Returns {done, cancel}. fetch cannot tell the progress of what it sends.
export function upload(form, onProgress) {
	const request = new XMLHttpRequest();
	const done = new Promise((resolve, reject) => {
		request.open("POST", "/api/files/upload");
		for (const [name, value] of Object.entries(headersOf())) request.setRequestHeader(name, value);
		request.upload.onprogress = (event) => onProgress(event.loaded, event.total);
		request.onload = () => {
			const body = parse(request.responseText, request.status);
			if (request.status === 200 || request.status === 202) resolve(body);
			else reject(fail(request.status, body));
		};
		request.onerror = () => reject(new Failure(0, { detail: "The connection broke off while the file was sent. Nothing was kept; send the file again." }));
		request.onabort = () => reject(new Failure(0, { detail: "Cancelled." }));
		request.send(form);
	});
	return { done, cancel: () => request.abort() };
}

// Calls `onEvent(name, data)` for each event of a stream, and `onOpen()` when it begins. It goes on after the last event if the connection breaks off, calls
// `onFull()` now and then if there are too many streams, and rests while the tab is hidden: a browser opens six connections to a server, for all tabs
// together. Returns a function that ends it.
export function follow(path, { onEvent, onOpen = () => {}, onEnd = () => {}, onFull = onOpen }) {
	let lastId = "";
	let pause = 1000;
	let isOver = false;
	let current = null;
	let timer = null;

	async function connect() {
		current = new AbortController();
		const mine = current;
		try {
			const answer = await fetch(path, { headers: headersOf(lastId ? { "Last-Event-ID": lastId } : {}), signal: mine.signal, cache: "no-store" });
			if (answer.status === 204) return finish();
			if (!answer.ok) {
				const failure = await failOf(answer);
				if (answer.status < 500) return finish(failure);
				throw failure;
			}
			noteAway(false);
			pause = 1000;
			onOpen();
			if (await read(answer.body)) return finish();
		} catch (error) {
			if (mine.signal.aborted) return undefined;
			if (error.type === "/problems/too-many-streams") onFull();
			else noteAway(true);
		}
		timer = setTimeout(connect, pause * (0.5 + Math.random())); // so that not all come back at once
		pause = Math.min(pause * 1.5, LONGEST_PAUSE_MS);
		return undefined;
	}

	// Returns whether the stream has told the last that it will tell.
	async function read(body) {
		const reader = body.pipeThrough(new TextDecoderStream()).getReader();
		let rest = "";
		for (;;) {
			const { done, value } = await reader.read();
			if (done) return isOver;
			const blocks = (rest + value).split("\n\n");
			rest = blocks.pop();
			for (const block of blocks) {
				let name = "message";
				let data = "";
				for (const line of block.split("\n")) {
					if (line.startsWith("event: ")) name = line.slice(7);
					else if (line.startsWith("data: ")) data += line.slice(6);
					else if (line.startsWith("id:")) lastId = line.slice(4);
				}
				if (data && !isOver) onEvent(name, JSON.parse(data));
			}
		}
	}

	function finish(failure) {
		stop();
		onEnd(failure);
	}

	function rest() {
		clearTimeout(timer);
		current?.abort();
	}

	function watch() {
		rest();
		if (!document.hidden) connect();
	}

	function stop() {
		isOver = true;
		document.removeEventListener("visibilitychange", watch);
		rest();
	}

	document.addEventListener("visibilitychange", watch);
	if (!document.hidden) connect();
	return stop;
}
