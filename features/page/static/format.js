// Numbers, sizes, times and sentences as people read them.

const NUMBER = new Intl.NumberFormat("en");
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const UNITS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]];

export const number = (value) => NUMBER.format(value);

export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

export function size(bytes) {
	if (bytes < 999.5) return count(bytes, "byte");
	const power = Math.min(Math.floor(Math.log10(bytes) / 3), 3);
	const value = bytes / 1000 ** power;
	return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${["", "kB", "MB", "GB"][power]}`;
}

export const moment = (text) => MOMENT.format(new Date(text));

export function ago(text) {
	const seconds = (new Date(text) - Date.now()) / 1000;
	if (Math.abs(seconds) < 5) return "just now";
	const [unit, length] = UNITS.find(([, each]) => Math.abs(seconds) >= each) || UNITS[3];
	return RELATIVE.format(Math.round(seconds / length), unit);
}

export function duration(seconds) {
	if (seconds < 1) return "less than a second";
	if (seconds < 60) return count(Math.round(seconds), "second");
	return count(Math.round(seconds / 60), "minute");
}

export const ENDED = new Set(["COMPLETED", "FAILED", "CANCELLED"]);

export const isOver = (job) => ENDED.has(job.status);

// A status in words, and what it looks like.
export function status(job) {
	switch (job.status) {
		case "QUEUED":
			return { word: "Waiting", look: "waits" };
		case "PROCESSING":
			return { word: "Being checked", look: "runs" };
		case "CANCELLED":
			return { word: "Cancelled", look: "stopped" };
		case "FAILED":
			return { word: "Could not be read", look: "failed" };
		default:
			return job.valid ? { word: "All good", look: "good" } : { word: "Has errors", look: "bad" };
	}
}

// What came of a job, in pieces: a text, or {column} for a name that is to stand out.
export function outcome(job, summary) {
	if (job.status === "QUEUED") {
		const place = job.queue_position > 1 ? `${count(job.queue_position - 1, "file")} of yours before it` : "it is the next of yours";
		return [`The file waits to be checked${job.queue_position ? `; ${place}` : ""}.`];
	}
	if (job.status === "PROCESSING") {
		const total = job.total_rows ? ` of about ${number(job.total_rows)}` : "";
		return [`${number(job.rows_processed)}${total} rows checked so far; ${errorsSoFar(job)}.`];
	}
	if (job.status === "FAILED") return [job.error_message || "The file could not be read."];
	const stopped = job.status === "CANCELLED" ? "It was cancelled; this is what was found until then. " : "";
	if (!job.rows_processed && !job.error_count) return [stopped ? "It was cancelled before any row was checked." : "The file has a header and no rows."];
	if (!job.error_count) return [`${stopped}${job.rows_processed === 1 ? "The only row is good." : `All ${number(job.rows_processed)} rows are good.`}`];
	if (!job.rows_failed) {
		return [`${stopped}No row is wrong in itself, but the header has ${count(job.error_count, "error")}.`];
	}
	const good = job.rows_processed - job.rows_failed;
	const ofHeader = (summary?.by_type || []).reduce((sum, each) => sum + (/-label$/.test(each.error_type) ? each.count : 0), 0);
	const also = ofHeader ? `, and the header has ${number(ofHeader)}` : "";
	const failed = `${number(job.rows_failed)} ${job.rows_failed === 1 ? "has" : "have"} ${count(job.error_count - ofHeader, "error")}${also}`;
	return [`${stopped}${number(good)} of ${count(job.rows_processed, "row")} ${good === 1 ? "is" : "are"} good; ${failed}`, ...whereMost(summary, job), "."];
}

function errorsSoFar(job) {
	return job.error_count ? `${count(job.error_count, "error")} in ${count(job.rows_failed, "row")}` : "no error yet";
}

function whereMost(summary, job) {
	const counts = new Map();
	for (const cause of summary?.by_column || []) {
		if (cause.column_name !== null) counts.set(cause.column_name, (counts.get(cause.column_name) || 0) + cause.count);
	}
	const [name, most] = [...counts].sort((one, other) => other[1] - one[1])[0] || [];
	if (!name) return [];
	if (most === job.error_count) return [", all in ", { column: name }];
	return most * 2 > job.error_count ? [", most of them in ", { column: name }] : [];
}

// A value that can be seen, also if it is empty or has nothing but blanks.
export const visible = (value) => (value === "" ? "(empty)" : value.trim() === "" ? `(${count(value.length, "blank")})` : value);

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

// The name of a column as a spreadsheet shows it, from its number.
export function columnLetters(place) {
	let text = "";
	for (let rest = place; rest > 0; rest = Math.floor((rest - 1) / 26)) text = LETTERS[(rest - 1) % 26] + text;
	return text;
}
